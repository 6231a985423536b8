"""Ranks the places where a piece of work could run, and says of every other place why it cannot."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scheduling.domain.planner.problem import FloatArray


class Refusal(StrEnum):
    """Why a pool is no offer, in the order in which it is looked at."""

    TOO_LARGE = "TOO_LARGE"
    WRONG_ACCELERATOR = "WRONG_ACCELERATOR"
    RULE_FORBIDS = "RULE_FORBIDS"
    STATE_UNKNOWN = "STATE_UNKNOWN"
    TOO_LATE = "TOO_LATE"
    TOO_DEAR = "TOO_DEAR"


WORDS = {
    Refusal.TOO_LARGE: ("资源池没有这么多单位。", "The pool does not have so many units."),
    Refusal.WRONG_ACCELERATOR: (
        "该资源池的加速卡不符合要求。",
        "Its accelerator does not run what is required.",
    ),
    Refusal.RULE_FORBIDS: (
        "数据规则不允许这类数据前往。",
        "The rules keep data of this class from it.",
    ),
    Refusal.STATE_UNKNOWN: ("该资源池的状态未知。", "The state of the pool is unknown."),
    Refusal.TOO_LATE: (
        "按 90% 分位的等待时间赶不上截止时间。",
        "It would not be done by the deadline with 90 %.",
    ),
    Refusal.TOO_DEAR: ("费用超出上限。", "It costs more than the limit."),
}


class Order(StrEnum):
    """What counts first; the others break ties."""

    PRICE = "price"
    CARBON = "carbon"
    START = "start"


@dataclass(frozen=True)
class Need:
    """What somebody wants to run.

    Attributes:
        units: units held.
        hours: hours asked for, at speed 1.
        data_gb: data that must be brought.
        deadline_h: hours from now by which it must be done.
        most_usd: most that it may cost.
    """

    units: float
    hours: float
    data_gb: float = 0.0
    deadline_h: float = math.inf
    most_usd: float = math.inf


@dataclass(frozen=True)
class Candidate:
    """One pool as a place for it.

    Attributes:
        pool, region: stable names.
        most_units: the most of it that may be planned on.
        speed: of the requirement there; 0 is not at all.
        is_allowed: whether the data may go there.
        rule: name of the sovereignty rule that said so.
        wait_h: hours until a start, at the levels 0.1, 0.5 and 0.9; None where unknown.
        price_usd, carbon_kg: (T,) of a unit-hour in each coming hour.
        egress_usd_per_gb, transfer_h_per_gb: from where the data are; 0 where they are there.
    """

    pool: str
    region: str
    most_units: float
    speed: float
    is_allowed: bool
    rule: str
    wait_h: tuple[float, float, float] | None
    price_usd: FloatArray
    carbon_kg: FloatArray
    egress_usd_per_gb: float = 0.0
    transfer_h_per_gb: float = 0.0


@dataclass(frozen=True)
class Offer:
    """What it would be to run it there. Hours count from now.

    Attributes:
        pool, region, rule: as of the candidate.
        total_usd: energy and egress.
        energy_usd, egress_usd, carbon_kg: its parts, and its emissions.
        runs_h: hours that it runs there.
        starts_h: at the levels 0.1, 0.5 and 0.9, data transfer included.
        ends_h: at the level 0.9.
    """

    pool: str
    region: str
    rule: str
    total_usd: float
    energy_usd: float
    egress_usd: float
    carbon_kg: float
    runs_h: float
    starts_h: tuple[float, float, float]
    ends_h: float


def search(
    need: Need, candidates: Iterable[Candidate], order: Order = Order.PRICE
) -> tuple[list[Offer], dict[str, Refusal]]:
    """This function will rank the pools that can do it.

    Args:
        need: what is wanted.
        candidates: all pools.
        order: what counts first.

    Returns:
        Offers, the best first; and why each other pool is none, in order of their codes.
    """
    offers: list[Offer] = []
    refused: dict[str, Refusal] = {}
    for one in sorted(candidates, key=lambda candidate: candidate.pool):
        answer = _answer(need, one)
        if isinstance(answer, Offer):
            offers.append(answer)
        else:
            refused[one.pool] = answer
    ranks = {
        Order.PRICE: lambda o: (o.total_usd, o.carbon_kg, o.starts_h[1], o.pool),
        Order.CARBON: lambda o: (o.carbon_kg, o.total_usd, o.starts_h[1], o.pool),
        Order.START: lambda o: (o.starts_h[1], o.total_usd, o.carbon_kg, o.pool),
    }
    return sorted(offers, key=ranks[order]), refused


def _answer(need: Need, one: Candidate) -> Offer | Refusal:
    outright = (
        (need.units > one.most_units, Refusal.TOO_LARGE),
        (one.speed <= 0, Refusal.WRONG_ACCELERATOR),
        (not one.is_allowed, Refusal.RULE_FORBIDS),
    )
    for holds, reason in outright:
        if holds:
            return reason
    if one.wait_h is None:
        return Refusal.STATE_UNKNOWN
    offer = _offer(need, one, one.wait_h)
    if offer.ends_h > need.deadline_h:
        return Refusal.TOO_LATE
    return Refusal.TOO_DEAR if offer.total_usd > need.most_usd else offer


def _offer(need: Need, one: Candidate, wait_h: tuple[float, float, float]) -> Offer:
    # data travel while the work waits
    travel_h = need.data_gb * one.transfer_h_per_gb
    early, median, late = (max(hours, travel_h) for hours in wait_h)
    runs_h = need.hours / one.speed
    energy_usd = need.units * held(one.price_usd, median, runs_h)
    egress_usd = need.data_gb * one.egress_usd_per_gb
    return Offer(
        pool=one.pool,
        region=one.region,
        rule=one.rule,
        total_usd=energy_usd + egress_usd,
        energy_usd=energy_usd,
        egress_usd=egress_usd,
        carbon_kg=need.units * held(one.carbon_kg, median, runs_h),
        runs_h=runs_h,
        starts_h=(early, median, late),
        ends_h=late + runs_h,
    )


def held(rate: FloatArray, start_h: float, hours: float) -> float:
    """This function will sum up an hourly rate over a stretch of time.

    Args:
        rate: (T,) per hour from now on; later hours count at its mean.
        start_h: when the stretch begins, hours from now.
        hours: its length.

    >>> import numpy as np
    >>> held(np.array([1.0, 3.0]), 0.5, 2.0)
    4.5
    """
    mean = float(rate.mean())
    total, at, end = 0.0, start_h, start_h + hours
    while at < min(end, len(rate)):
        until = min(end, math.floor(at) + 1.0)
        total += float(rate[int(at)]) * (until - at)
        at = until
    return total + mean * max(0.0, end - max(at, start_h))
