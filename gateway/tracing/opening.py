"""Tracing when the configuration asks for it; else nothing of it is imported."""

from gateway.config import ConfigError, TracingConfig
from gateway.tracing.port import Tracer


def tracer_for(config: TracingConfig | None) -> Tracer | None:
    """Return what traces; None when nothing does.

    Raises:
        ConfigError: It is asked for and not installed.
    """
    if config is None:
        return None
    try:
        from gateway.tracing import otel  # noqa: PLC0415 - an extra, and 0.3 s of start, for those who trace
    except ImportError as error:
        raise ConfigError(
            f"[tracing] needs the extra otel (pip install 'taxcontrol[otel]'): {error}"
        ) from error
    return otel.to_collector(config)
