"""Sentences for people, in English and Chinese, made of a condition's figures."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from gateway.alerts.condition import Condition
from invoice.content import SHANGHAI
from quota.offline import Limit

Fact = str | int | float
_Sentence = Callable[[Condition, float], tuple[str, str]]

_LIMITS: Final = {
    Limit.AGE: ("offline hours", "离线时限"),
    Limit.COUNT: ("offline count", "离线张数"),
    Limit.AMOUNT: ("offline amount", "离线限额"),
    Limit.LOCK_DAY: ("lock day", "锁死期"),
}
_OFFICES: Final = {
    "tax": ("the tax authority", "税务局"),
    "finance": ("the finance department", "财政部门"),
}


def sentences(condition: Condition, now: float) -> tuple[str, str]:
    """Return what is wrong in English and in Chinese, as of ``now``."""
    return _SENTENCES[condition.place.kind](condition, now)


def clock_text(at: float, now: float) -> tuple[str, str]:
    """A time as people say it: the hour today, the day with it otherwise, in Asia/Shanghai."""
    then, today = (datetime.fromtimestamp(one, SHANGHAI) for one in (at, now))
    if then.date() == today.date():
        return f"{then:%H:%M}", f"{then:%H:%M}"
    return f"{then:%Y-%m-%d %H:%M}", f"{then.month}月{then.day}日 {then:%H:%M}"


def span_text(seconds: float) -> tuple[str, str]:
    """A span of time as people say it."""
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min", f"{minutes} 分钟"
    hours = minutes // 60
    if hours < 72:
        return f"{hours} h", f"{hours} 小时"
    return f"{hours // 24} days", f"{hours // 24} 天"


def yuan(fen: Fact) -> str:
    """An amount with its separators."""
    return f"{int(fen) / 100:,.2f}"


def _where(condition: Condition) -> tuple[str, str]:
    place = condition.place
    if place.point is not None:
        return f"point {place.point}, type {place.type}", f"{place.point} 号开票点 {place.type}"
    if place.type and place.machine_number:
        return (
            f"device {place.machine_number}, type {place.type}",
            f"设备 {place.machine_number} {place.type}",
        )
    return f"device {place.machine_number}", f"设备 {place.machine_number}"


def _forecast(condition: Condition, now: float) -> tuple[str, str]:
    """When the limit is hit and when the backlog is gone, as things go."""
    english, chinese = "", ""
    if condition.limit_at is not None and condition.limit_at > now:
        en, zh = clock_text(condition.limit_at, now)
        english, chinese = f"; the limit is reached at {en}", f"，预计 {zh} 达到限额"
    if condition.drained_at is not None:
        en, zh = clock_text(condition.drained_at, now)
        english, chinese = f"{english}; the backlog is gone at {en}", f"{chinese}，预计 {zh} 传完"
    return english, chinese


def _stock_low(condition: Condition, now: float) -> tuple[str, str]:
    facts = condition.facts
    if "point_count" in facts:
        count, type_code = facts["point_count"], condition.place.type
        return (
            f"{count} more points are low on numbers of type {type_code}",
            f"另有 {count} 个开票点的 {type_code} 库存不足",
        )
    en, zh = _where(condition)
    left = facts["available_count"]
    english, chinese = f"{en}: {left} numbers left", f"{zh} 剩余 {left} 张"
    if condition.limit_at is not None and condition.limit_at > now:
        at_en, at_zh = clock_text(condition.limit_at, now)
        english, chinese = f"{english}; empty at {at_en}", f"{chinese}，预计 {at_zh} 用尽"
    return english, chinese


def _stock_exhausted(condition: Condition, _: float) -> tuple[str, str]:
    facts = condition.facts
    if "point_count" in facts:
        count, type_code = facts["point_count"], condition.place.type
        return (
            f"{count} more points have no number of type {type_code} left",
            f"另有 {count} 个开票点的 {type_code} 已用尽",
        )
    en, zh = _where(condition)
    if "expired_count" in facts:
        count = facts["expired_count"]
        return (
            f"{en}: none that may be issued; {count} numbers are past their day",
            f"{zh} 无可用号码，{count} 张已过开具期限",
        )
    return f"{en}: no number left", f"{zh} 已用尽"


def _count(condition: Condition, now: float) -> tuple[str, str]:
    (en, zh), (when_en, when_zh) = _where(condition), _forecast(condition, now)
    count = condition.facts["unuploaded_count"]
    limit = condition.facts.get("limit")
    of_en, of_zh = ("", "") if limit is None else (f" of at most {limit}", f"（限 {limit} 张）")
    return (
        f"{en}: {count} invoices un-uploaded{of_en}{when_en}",
        f"{zh} 未上传 {count} 张{of_zh}{when_zh}",
    )


def _amount(condition: Condition, now: float) -> tuple[str, str]:
    (en, zh), (when_en, when_zh) = _where(condition), _forecast(condition, now)
    amount = yuan(condition.facts["unuploaded_amount_fen"])
    limit = condition.facts.get("limit")
    of_en, of_zh = ("", "")
    if limit is not None:
        of_en, of_zh = f" of at most {yuan(limit)}", f"（限 {yuan(limit)} 元）"
    return (
        f"{en}: {amount} yuan un-uploaded{of_en}{when_en}",
        f"{zh} 未上传金额 {amount} 元{of_zh}{when_zh}",
    )


def _age(condition: Condition, now: float) -> tuple[str, str]:
    (en, zh), (when_en, when_zh) = _where(condition), _forecast(condition, now)
    age_en, age_zh = span_text(float(condition.facts["age_s"]))
    return (
        f"{en}: the oldest invoice has been un-uploaded for {age_en}{when_en}",
        f"{zh} 最早一张未上传已 {age_zh}{when_zh}",
    )


def _reached(condition: Condition, _: float) -> tuple[str, str]:
    en, zh = _where(condition)
    limit_en, limit_zh = _LIMITS[Limit(str(condition.facts["limit_name"]))]
    count = condition.facts["unuploaded_count"]
    return (
        f"{en}: {limit_en} reached, nothing is issued; {count} invoices wait for upload",
        f"{zh} 已达{limit_zh}，停止开票，{count} 张待上传",
    )


def _rejected(condition: Condition, _: float) -> tuple[str, str]:
    plain = condition.facts["rejected_count"]
    signature = condition.facts["signature_rejected_count"]
    return (
        f"the authority has refused {plain} events, and the signatures of {signature}",
        f"税务局退回 {plain} 条，验签失败 {signature} 条",
    )


def _in_doubt(condition: Condition, _: float) -> tuple[str, str]:
    en, zh = span_text(float(condition.facts["doubt_s"]))
    count = condition.facts["in_doubt_count"]
    return (
        f"the answer to {count} uploads has been missing for {en}",
        f"{count} 条上传的结果已 {zh} 未知",
    )


def _away(condition: Condition, now: float) -> tuple[str, str]:
    office_en, office_zh = _OFFICES[str(condition.facts["office"])]
    en, zh = span_text(float(condition.facts["away_s"]))
    when_en, when_zh = "", ""
    if condition.limit_at is not None and condition.limit_at > now:
        at_en, at_zh = clock_text(condition.limit_at, now)
        when_en, when_zh = (
            f"; the first limit is reached at {at_en}",
            f"，最早 {at_zh} 达到离线限制",
        )
    return (
        f"{office_en} has not answered for {en}{when_en}",
        f"{office_zh}已 {zh} 无应答{when_zh}",
    )


def _hsm(condition: Condition, _: float) -> tuple[str, str]:
    if not condition.place.machine_number:
        return "the signing device does not sign", "签名设备无法签名"
    en, zh = _where(condition)
    return f"{en}: its key does not sign", f"{zh} 的密钥无法签名"


def _certificate(condition: Condition, now: float) -> tuple[str, str]:
    en, zh = _where(condition)
    ends_at = float(condition.facts["ends_at"])
    if not ends_at:
        return f"{en} has no certificate that can be read", f"{zh} 没有可读的证书"
    at_en, at_zh = clock_text(ends_at, now)
    if ends_at <= now:
        return f"{en}: its certificate ended at {at_en}", f"{zh} 的证书已于 {at_zh} 到期"
    return f"{en}: its certificate ends at {at_en}", f"{zh} 的证书将于 {at_zh} 到期"


def _skew(condition: Condition, _: float) -> tuple[str, str]:
    ahead, clamped = int(condition.facts["ahead_s"]), condition.facts["clamped_s"]
    if clamped and abs(ahead) < float(clamped):
        return (
            f"this machine's clock ran back {clamped} s behind the last invoice",
            f"本机时钟回拨，落后最近一张发票 {clamped} 秒",
        )
    return (
        f"this machine's clock is {ahead:+} s from the authority's",
        f"本机时钟与税务局相差 {ahead:+} 秒",
    )


def _period(condition: Condition, now: float) -> tuple[str, str]:
    en, zh = _where(condition)
    period = condition.facts["period"]
    assert condition.limit_at is not None
    at_en, at_zh = clock_text(condition.limit_at, now)
    if condition.limit_at <= now:
        return (
            f"{en}: {period} is not summarised, and issuing has been stopped since {at_en}",
            f"{zh} 的 {period} 未抄报，已于 {at_zh} 停止开票",
        )
    return (
        f"{en}: {period} is not summarised; issuing stops at {at_en}",
        f"{zh} 的 {period} 未抄报，{at_zh} 起停止开票",
    )


def _ledger(_: Condition, __: float) -> tuple[str, str]:
    return "the ledger cannot be written", "账本无法写入"


_SENTENCES: Final[Mapping[str, _Sentence]] = {
    "STOCK_LOW": _stock_low,
    "STOCK_EXHAUSTED": _stock_exhausted,
    "UNUPLOADED_COUNT": _count,
    "UNUPLOADED_AMOUNT": _amount,
    "UNUPLOADED_AGE": _age,
    "OFFLINE_LIMIT_REACHED": _reached,
    "UPLOAD_REJECTED": _rejected,
    "UPLOAD_IN_DOUBT": _in_doubt,
    "AUTHORITY_UNREACHABLE": _away,
    "HSM_UNAVAILABLE": _hsm,
    "CERTIFICATE_EXPIRING": _certificate,
    "CLOCK_SKEW": _skew,
    "PERIOD_DUE": _period,
    "LEDGER_UNWRITABLE": _ledger,
}
