"""Turns a plan into ordered moves, and says what each one changes against doing nothing.

The baseline of a move is the mean workload of its group in the do-nothing plan: workloads of a
group are alike, so which of them would have started first says nothing about the ones that move.
What staying workloads gain because others left is the `residual`; moves and residual add up to the
whole difference between the two plans.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from scheduling.domain.planner.costs import GroupCosts, all_group_costs
from scheduling.domain.planner.outcome import CostParts, Placement, PlanOutcome
from scheduling.domain.planner.problem import PlanningProblem

Corridor = tuple[str, str]


@dataclass(frozen=True)
class MoveDraft:
    """Whole workloads of one group that go from their home pool to another, at one start.

    Attributes:
        group, source, destination: indices g, p, p of the problem they were planned in.
        group_key, source_pool, destination_pool: the same as stable names.
        source_region, destination_region: whose consent the move needs.
        jobs: workloads that move.
        units: units that all of them hold together.
        start_slot: slot in which they start at the destination.
        duration_h: hours that each asks for from its start.
        change: parts of the cost of these workloads, moved less stayed; negative is a saving.
    """

    group: int
    source: int
    destination: int
    group_key: str
    source_pool: str
    destination_pool: str
    source_region: str
    destination_region: str
    jobs: int
    units: int
    start_slot: int
    duration_h: float
    change: CostParts

    @property
    def saving_usd(self) -> float:
        """What moving saves against staying. Negative when the move only makes room for others."""
        return -self.change.total_usd


@dataclass(frozen=True)
class MoveSet:
    """All moves of a plan, and what changes for the workloads that stay.

    Attributes:
        moves: largest saving first; ties by start, group key, destination.
        residuals: (P,) change of cost of the workloads that stay at each home pool (they wait
            less, because others left).
    """

    moves: tuple[MoveDraft, ...]
    residuals: tuple[CostParts, ...]

    @property
    def residual(self) -> CostParts:
        """Change of cost of all workloads that stay."""
        return sum(self.residuals, CostParts())

    @property
    def saving_usd(self) -> float:
        """Moves and residual together: cost of doing nothing less cost of the plan."""
        return sum(move.saving_usd for move in self.moves) - self.residual.total_usd


def staying_cost(
    problem: PlanningProblem, baseline: PlanOutcome, costs: tuple[GroupCosts, ...]
) -> tuple[CostParts, ...]:
    """This function will return what the mean workload of each group costs in a do-nothing plan.

    Args:
        problem: the situation.
        baseline: outcome of `solver.do_nothing` on it.
        costs: `costs.all_group_costs(problem)`.

    Returns:
        (G,) parts per workload, waiting and unmet hours included.
    """
    totals = [
        costs[group].unplaced.times(jobs) for group, jobs in enumerate(baseline.unplaced)
    ] or [CostParts() for _ in problem.groups]
    for placement in baseline.placements:
        one = costs[placement.group].placed(placement.pool, placement.slot)
        totals[placement.group] += one.times(placement.jobs)
    return tuple(
        total.times(1.0 / group.jobs) for total, group in zip(totals, problem.groups, strict=True)
    )


def draft_moves(problem: PlanningProblem, plan: PlanOutcome, baseline: PlanOutcome) -> MoveSet:
    """This function will list the moves of a plan with what each changes against staying.

    Any subset of the moves fits, because leaving one out only frees capacity and limits.

    Args:
        problem: the situation that both outcomes answer.
        plan: outcome of `solver.solve`.
        baseline: outcome of `solver.do_nothing`.

    Returns:
        Moves and residual; `saving_usd` of the set is `baseline.objective - plan.objective`.
    """
    costs = all_group_costs(problem)
    staying = staying_cost(problem, baseline, costs)
    moves: list[MoveDraft] = []
    residuals = [CostParts() for _ in problem.pools]
    for placement in plan.placements:
        one = costs[placement.group].placed(placement.pool, placement.slot)
        change = (one - staying[placement.group]).times(placement.jobs)
        if placement.pool == problem.groups[placement.group].home:
            residuals[placement.pool] += change
        else:
            moves.append(_draft(problem, placement, change))
    for group, jobs in enumerate(plan.unplaced):
        change = (costs[group].unplaced - staying[group]).times(jobs)
        residuals[problem.groups[group].home] += change
    moves.sort(
        key=lambda m: (-round(m.saving_usd, 9), m.start_slot, m.group_key, m.destination_pool)
    )
    return MoveSet(moves=tuple(moves), residuals=tuple(residuals))


def share_of_residuals(move_set: MoveSet, part: Iterable[MoveDraft]) -> CostParts:
    """This function will say how much of what the staying gain is owed to some of the moves.

    What those who stay at a pool gain is shared by the units that leave that pool. Over a
    partition of all moves the shares add up to the residuals of the pools that something leaves.

    Args:
        move_set: all moves of a plan.
        part: some of them.

    Returns:
        Change of cost of staying workloads; negative is a saving.
    """
    leaving: dict[int, int] = defaultdict(int)
    for move in move_set.moves:
        leaving[move.source] += move.units
    share = CostParts()
    for move in part:
        owed = move.units / leaving[move.source]
        share += move_set.residuals[move.source].times(owed)
    return share


def corridors(moves: Iterable[MoveDraft]) -> dict[Corridor, tuple[MoveDraft, ...]]:
    """This function will group moves by (source region, destination region), in name order.

    Args:
        moves: any moves; their order is kept within a corridor.

    Returns:
        One entry per pair of regions that has a move; both may be the same region.
    """
    grouped: dict[Corridor, list[MoveDraft]] = {}
    for move in moves:
        grouped.setdefault((move.source_region, move.destination_region), []).append(move)
    return {corridor: tuple(grouped[corridor]) for corridor in sorted(grouped)}


def _draft(problem: PlanningProblem, placement: Placement, change: CostParts) -> MoveDraft:
    group = problem.groups[placement.group]
    source, destination = problem.pools[group.home], problem.pools[placement.pool]
    return MoveDraft(
        group=placement.group,
        source=group.home,
        destination=placement.pool,
        group_key=group.key,
        source_pool=source.code,
        destination_pool=destination.code,
        source_region=source.region,
        destination_region=destination.region,
        jobs=placement.jobs,
        units=placement.jobs * group.units,
        start_slot=placement.slot,
        duration_h=group.duration_h,
        change=change,
    )
