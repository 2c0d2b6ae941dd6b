"""A scrape as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: bytes) -> Series:
    """Every sample by name and labels; fails where one comes twice."""
    found: Series = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def names(series: Series) -> set[str]:
    return {name for name, _ in series}


def value(series: Series, name: str, **labels: str) -> float:
    return series[name, frozenset(labels.items())]


def total(series: Series, name: str) -> float:
    return sum(value for (each, _), value in series.items() if each == name)


def labels_of(series: Series, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for each, labels in series if each == name}
