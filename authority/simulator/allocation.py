"""Which numbers a grant takes: codes that look real, ranges that never overlap.

Each *series* counts one code stem: region, year and kind for coded types, the fixed prefix for
fully digital ones. Ranges are cut from it one after the other, whoever asks, so no two grants
share a number, and none is granted again after its return. A batch (批次) that cannot hold the whole range is left for the next one: a grant is
one range under one code. Pure; the caller stores the shortened series in the granting transaction.
"""

from dataclasses import dataclass
from typing import Final

from authority.simulator.departments import DONATION

# Kind digits, domain reference §2: 11 electronic general, 13 electronic special, 04 folded general
# (折叠票), 06 roll (卷票).
_KINDS: Final = {"026": "11", "028": "13", "007": "04", "025": "06"}
_SPECIAL_PAPER: Final = "004"
_DIGITAL: Final = frozenset({"081", "082"})
# Class and kind of a donation receipt (公益事业捐赠票据).
_DONATION_KIND: Final = "0601"

DIGITAL_COUNT_MAX: Final = 5000


class SeriesExhausted(Exception):
    """The stem has no number left for such a range, in any batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How numbers of one stem are written.

    ``code_head`` + batch (``batch_digits``) + ``code_tail`` is the invoice code; without digits there
    is one batch only. It is empty for digital types, whose numbers start with ``prefix``. ``width``
    digits a number.
    """

    code_head: str
    batch_digits: int
    code_tail: str
    prefix: str
    width: int

    @property
    def stem(self) -> str:
        """What numbers of this layout are counted under; equal stems share a series."""
        return f"{self.code_head}-{self.code_tail}-{self.prefix}"

    @property
    def running_end(self) -> int:
        """One past the largest running part."""
        return int("1" + "0" * (self.width - len(self.prefix)))

    def code(self, batch: int) -> str:
        """Return the invoice code of a batch."""
        digits = f"{batch:0{self.batch_digits}d}" if self.batch_digits else ""
        return f"{self.code_head}{digits}{self.code_tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How far a stem is used: the next grant starts at ``next`` of ``batch``. Numbers start at 1."""

    batch: int = 1
    next: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers ``[first, first + count)`` of one code, as running parts."""

    code: str
    prefix: str
    width: int
    first: int
    count: int


def layout(type_: str, *, region: str, year: int) -> Layout:
    """Return how numbers of a type some department grants are written. ``region``: four digits."""
    yy = f"{year % 100:02d}"
    if type_ in _DIGITAL:
        # 1–2 year, 3–4 province, 5 channel. Both digital types share one series, since nothing in
        # their numbers tells them apart.
        prefix = f"{yy}{region[:2]}1"
        return Layout(code_head="", batch_digits=0, code_tail="", prefix=prefix, width=20)
    if type_ == DONATION:
        # 1–2 region, 3–4 class, 5–6 kind, 7–8 year.
        code = f"{region[:2]}{_DONATION_KIND}{yy}"
        return Layout(code_head=code, batch_digits=0, code_tail="", prefix="", width=10)
    if type_ == _SPECIAL_PAPER:
        # 1–4 region, 5–6 year, 7 batch, 8 kind (1 special), 9 copies (3), 10 amount tier (0: by
        # computer).
        return Layout(
            code_head=f"{region}{yy}", batch_digits=1, code_tail="130", prefix="", width=8
        )
    return Layout(
        code_head=f"0{region}{yy}", batch_digits=3, code_tail=_KINDS[type_], prefix="", width=8
    )


def count_granted(type_: str, wanted_count: int) -> int:
    """Return how many of the wanted numbers one grant gives."""
    return min(wanted_count, DIGITAL_COUNT_MAX) if type_ in _DIGITAL else wanted_count


def allocate(form: Layout, series: Series, count: int) -> tuple[Range, Series]:
    """Cut ``count`` numbers off ``series``.

    Raises:
        SeriesExhausted: No batch is left that could hold them.
    """
    if series.next + count > form.running_end:
        series = Series(batch=series.batch + 1)
    batch_end = 10**form.batch_digits if form.batch_digits else 2
    if series.batch >= batch_end or series.next + count > form.running_end:
        raise SeriesExhausted(form.stem)
    cut = Range(
        code=form.code(series.batch),
        prefix=form.prefix,
        width=form.width,
        first=series.next,
        count=count,
    )
    return cut, Series(batch=series.batch, next=series.next + count)


def running_part(number: str, *, prefix: str, width: int) -> int | None:
    """Return the running part of ``number``; None when it is not of this prefix and width."""
    if len(number) != width or not number.startswith(prefix):
        return None
    running = number[len(prefix) :]
    return int(running) if running.isascii() and running.isdigit() else None
