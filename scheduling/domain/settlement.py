"""Compares what a plan promised with what came of it, part by part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scheduling.domain.planner.problem import Weights


@dataclass(frozen=True)
class Stay:
    """What one moved workload was predicted to cost had it stayed, and at its destination.

    `delay_h` are hours from planning until the start; `unmet_usd` is what finding no place costs.
    """

    energy_usd: float
    carbon_kg: float
    egress_usd: float
    delay_h: float
    unmet_usd: float = 0.0


@dataclass(frozen=True)
class Passage:
    """One workload that a plan moved, as it was promised and as it went.

    Attributes:
        units: units held.
        predicted_home: predicted had it stayed.
        predicted_away: predicted at its destination.
        realised: measured at its destination, None while it has not started.
        predicted_h: requested hours, on which the predictions rest.
        realised_h: hours that it ran.
    """

    units: float
    predicted_home: Stay
    predicted_away: Stay
    realised: Stay | None
    predicted_h: float
    realised_h: float


@dataclass(frozen=True)
class PartLine:
    """One part of the objective: what was promised to be saved, and what was."""

    part: str
    predicted_home: float
    predicted_away: float
    realised_away: float
    predicted_saving: float
    realised_saving: float


@dataclass(frozen=True)
class SettlementReport:
    """The account of one plan.

    Attributes:
        lines: one per part: energy, carbon, egress, delay, unmet, churn; USD.
        carbon_kg_predicted, carbon_kg_realised: carbon at the destinations.
        workloads, started, finished: how many were moved, began, ended.
        predicted_saving_usd, realised_saving_usd: sums of the lines.
    """

    lines: tuple[PartLine, ...]
    carbon_kg_predicted: float
    carbon_kg_realised: float
    workloads: int
    started: int
    finished: int
    predicted_saving_usd: float
    realised_saving_usd: float


def settle(passages: Sequence[Passage], weights: Weights, *, finished: int) -> SettlementReport:
    """This function will draw up the account of a plan over the workloads that it moved.

    Energy and carbon of having stayed are scaled to the hours that a workload really ran, so that
    a job shorter than requested does not look like a saving. The delay had it stayed is the
    prediction at planning time: what did not happen cannot be measured, and the report says so by
    its column names.

    Args:
        passages: workloads that arrived at their destination.
        weights: prices of carbon, delay and churn.
        finished: how many of them have ended.

    Returns:
        The account; its sums are the sums of its lines.
    """
    started = [passage for passage in passages if passage.realised is not None]
    lines = (
        _line("energy", started, lambda stay, _: stay.energy_usd, scaled=True),
        _line(
            "carbon",
            started,
            lambda stay, _: stay.carbon_kg * weights.carbon_usd_per_t / 1000.0,
            scaled=True,
        ),
        _line("egress", started, lambda stay, _: stay.egress_usd, scaled=False),
        _line(
            "delay",
            started,
            lambda stay, units: stay.delay_h * units * weights.delay_usd_per_unit_h,
            scaled=False,
        ),
        _line("unmet", started, lambda stay, _: stay.unmet_usd, scaled=True),
        _churn(len(started), weights),
    )
    return SettlementReport(
        lines=lines,
        carbon_kg_predicted=sum(p.predicted_away.carbon_kg * _share(p) for p in started),
        carbon_kg_realised=sum(p.realised.carbon_kg for p in started if p.realised),
        workloads=len(passages),
        started=len(started),
        finished=finished,
        predicted_saving_usd=sum(line.predicted_saving for line in lines),
        realised_saving_usd=sum(line.realised_saving for line in lines),
    )


def _line(
    part: str, passages: list[Passage], cost: Callable[[Stay, float], float], *, scaled: bool
) -> PartLine:
    home = away = realised = 0.0
    for passage in passages:
        share = _share(passage) if scaled else 1.0
        home += cost(passage.predicted_home, passage.units) * share
        away += cost(passage.predicted_away, passage.units) * share
        realised += cost(passage.realised, passage.units) if passage.realised else 0.0
    return PartLine(part, home, away, realised, home - away, home - realised)


def _churn(moved: int, weights: Weights) -> PartLine:
    churn = moved * weights.churn_usd_per_job
    return PartLine("churn", 0.0, churn, churn, -churn, -churn)


def _share(passage: Passage) -> float:
    return passage.realised_h / passage.predicted_h if passage.predicted_h > 0 else 0.0
