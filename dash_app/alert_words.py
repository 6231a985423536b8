"""Says in Chinese and English what an alert is about, from its kind and its figures."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

Names = Mapping[str, tuple[str, str]]
Words = tuple[str, str]


def alert_words(
    kind: str,
    scope: str,
    detail: Mapping[str, Any],
    names: Names,
    *,
    annotations: Mapping[str, str] | None = None,
) -> Words:
    """Return an alert in words, in Chinese and English.

    Args:
        kind: kind of the alert, such as `CAPACITY_SHORTAGE`.
        scope: such as `region:CN-BJ` or `pool:beijing-gpu`.
        detail: the figures behind the alert; a figure that is missing is left out of the words.
        names: (zh, en) names by code of region, site or provider.
        annotations: what the alert's rule says, for kinds without words of their own.

    Returns:
        The same sentence twice; a kind without words of its own shows its name and scope.
    """
    name = _names_of(scope, names)
    if kind in _SAY:
        return _SAY[kind](name, detail)
    said = annotations or {}
    summary = said.get("summary_en") or said.get("summary_zh") or said.get("summary")
    if summary:
        return said.get("summary_zh", summary), said.get("summary_en", summary)
    words = kind.replace("_", " ").lower()
    return f"{name[0]}：{words}", f"{name[1]}: {words}"


def _names_of(scope: str, names: Names) -> Words:
    code = scope.partition(":")[2] or scope
    return names.get(code, (code, code))


def _say_silence(name: Words, detail: Mapping[str, Any]) -> Words:
    pools = len(detail.get("pools", ()))
    return (
        f"{name[0]} 没有上报数据，{pools} 个资源池状态未知",
        f"{name[1]} has stopped reporting: {pools} {_plural('pool', pools)} unknown",
    )


def _say_shortage(name: Words, detail: Mapping[str, Any]) -> Words:
    short = _units(detail.get("short_units"))
    if short is None:
        return f"{name[0]} 容量不足", f"{name[1]} is short of capacity"
    queued = _units(detail.get("queued_units"))
    waits_zh = f"（排队 {queued}）" if queued else ""
    waits_en = f" ({queued} queued)" if queued else ""
    return f"{name[0]} 缺 {short} GPU{waits_zh}", f"{name[1]} is short of {short} GPU{waits_en}"


def _say_forecast(name: Words, detail: Mapping[str, Any]) -> Words:
    short, start = _units(detail.get("short_units")), _local_time(detail.get("from_at"))
    when_zh, when_en = (f"自 {start} 起", f" from {start}") if start else ("", "")
    size_zh, size_en = (f"缺 {short} GPU", f" of {short} GPU") if short else ("容量不足", "")
    odds = detail.get("probability")
    odds_zh, odds_en = (f"（概率 {odds:.0%}）", f" ({odds:.0%})") if odds else ("", "")
    return (
        f"{name[0]} {when_zh}可能{size_zh}{odds_zh}",
        f"{name[1]} may be short{size_en}{when_en}{odds_en}",
    )


def _say_clock(name: Words, detail: Mapping[str, Any]) -> Words:
    skew_s = detail.get("skew_s")
    if not isinstance(skew_s, int | float):
        return f"{name[0]} 的时钟有偏差", f"The clock of {name[1]} is off"
    off = f"{abs(skew_s):,.0f}"
    if skew_s > 0:
        return f"{name[0]} 的时钟快 {off} 秒", f"The clock of {name[1]} is {off} s ahead"
    return (
        f"{name[0]} 的时钟慢 {off} 秒，或上报迟到",
        f"The clock of {name[1]} is {off} s behind, or it sends late",
    )


def _say_suspect(name: Words, detail: Mapping[str, Any]) -> Words:
    share = detail.get("value")
    part = f"{share:.0%}" if isinstance(share, int | float) else ""
    return (
        f"{name[0]} {part}的资源池数据存疑，规划不采用",
        f"{name[1]}: data of {part or 'some'} of its pools is suspect and not planned on",
    )


def _say_watchdog(_name: Words, _detail: Mapping[str, Any]) -> Words:
    return "告警链路正常", "Alerting works"


def _local_time(moment: object) -> str:
    if not isinstance(moment, str):
        return ""
    return timezone.localtime(dt.datetime.fromisoformat(moment)).strftime("%m-%d %H:%M")


def _units(value: object) -> str | None:
    # less than half a unit would read as "0", which says nothing
    return f"{value:,.0f}" if isinstance(value, int | float) and value > 0.5 else None


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


_SAY: Mapping[str, Callable[[Words, Mapping[str, Any]], Words]] = {
    "PROVIDER_SILENT": _say_silence,
    "CAPACITY_SHORTAGE": _say_shortage,
    "FORECAST_SHORTAGE": _say_forecast,
    "PROVIDER_CLOCK_OFF": _say_clock,
    "READINGS_SUSPECT": _say_suspect,
    "WATCHDOG": _say_watchdog,
}
