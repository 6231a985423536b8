"""Puts two plans side by side: what each costs, who gives and takes, and which moves differ."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from scheduling.domain.planner.moves import MoveDraft
from scheduling.domain.planner.outcome import PlanOutcome
from scheduling.domain.planner.problem import PlanningProblem

MOST_MOVES = 500


@dataclass(frozen=True)
class PlanSummary:
    """One plan in figures, as it is stored and shown.

    Attributes:
        status: how the solve ended.
        objective_usd, bound_usd, gap: of the plan.
        do_nothing_usd: the same situation without any move.
        parts: the objective in its parts, `carbon_kg` among them.
        jobs_moved, units_moved: over all moves.
        jobs_waiting, units_waiting: workloads without a place in the horizon.
        regions: per region the units that leave it and come to it.
        moves: at most 500, largest saving first.
        conflicts: names of contradicting constraints when there is no plan.
        rule_costs: what each rule and limit costs a day, dearest first; None when not asked for.
    """

    status: str
    objective_usd: float
    bound_usd: float
    gap: float
    do_nothing_usd: float
    parts: dict[str, float]
    jobs_moved: int
    units_moved: int
    jobs_waiting: int
    units_waiting: int
    regions: dict[str, dict[str, int]]
    moves: list[dict[str, object]]
    conflicts: list[str]
    rule_costs: list[dict[str, object]] | None = None


def summarize(
    problem: PlanningProblem, plan: PlanOutcome, baseline: PlanOutcome, moves: Iterable[MoveDraft]
) -> PlanSummary:
    """This function will put a plan into figures.

    Args:
        problem: what was planned for.
        plan: the answer.
        baseline: doing nothing in the same situation.
        moves: of the plan, in the order to show them.
    """
    ordered = list(moves)
    regions: dict[str, dict[str, int]] = defaultdict(lambda: {"out_units": 0, "in_units": 0})
    for move in ordered:
        regions[move.source_region]["out_units"] += move.units
        regions[move.destination_region]["in_units"] += move.units
    waiting = list(zip(problem.groups, plan.unplaced, strict=False))
    return PlanSummary(
        status=plan.status.value,
        objective_usd=plan.objective,
        bound_usd=plan.bound,
        gap=plan.gap,
        do_nothing_usd=baseline.objective,
        parts=asdict(plan.parts),
        jobs_moved=sum(move.jobs for move in ordered),
        units_moved=sum(move.units for move in ordered),
        jobs_waiting=sum(jobs for _, jobs in waiting),
        units_waiting=sum(group.units * jobs for group, jobs in waiting),
        regions=dict(sorted(regions.items())),
        moves=[_row(move) for move in ordered[:MOST_MOVES]],
        conflicts=list(plan.conflicts),
    )


def compare(present: PlanSummary, altered: PlanSummary) -> dict[str, object]:
    """This function will say what differs: altered less present, and the moves of only one.

    Moves are the same when group, destination and start are; their numbers of jobs may differ.

    Returns:
        `{"objective_usd", "parts", "units_moved", "jobs_waiting", "units_waiting",
        "only_present", "only_altered", "changed"}`.
    """
    before, after = _by_key(present), _by_key(altered)
    return {
        "objective_usd": altered.objective_usd - present.objective_usd,
        "parts": {name: altered.parts[name] - present.parts[name] for name in present.parts},
        "units_moved": altered.units_moved - present.units_moved,
        "jobs_waiting": altered.jobs_waiting - present.jobs_waiting,
        "units_waiting": altered.units_waiting - present.units_waiting,
        "only_present": [row for key, row in before.items() if key not in after],
        "only_altered": [row for key, row in after.items() if key not in before],
        "changed": [
            {"present": before[key], "altered": row}
            for key, row in after.items()
            if key in before and before[key]["jobs"] != row["jobs"]
        ],
    }


def _row(move: MoveDraft) -> dict[str, object]:
    return {
        "group": move.group_key,
        "source_pool": move.source_pool,
        "destination_pool": move.destination_pool,
        "source_region": move.source_region,
        "destination_region": move.destination_region,
        "start_slot": move.start_slot,
        "jobs": move.jobs,
        "units": move.units,
        "saving_usd": move.saving_usd,
        "change": asdict(move.change),
    }


def _by_key(summary: PlanSummary) -> dict[tuple[object, ...], dict[str, object]]:
    return {
        (row["group"], row["destination_pool"], row["start_slot"]): row for row in summary.moves
    }
