"""Says whether what a plan was made from still holds: rules, and capacity of what it touches."""

import datetime as dt

from monitoring import selectors as grid
from scheduling.models import RebalancingPlan
from scheduling.selectors.rules import rules_in_force

CAPACITY_TOLERANCE = 0.05


def why_superseded(plan: RebalancingPlan, now: dt.datetime) -> str | None:
    """This function will name what has changed too much since a plan was made.

    A pool that is silent just now has not changed: its moves wait until it is heard again.

    Args:
        plan: the plan.
        now: grid time.

    Returns:
        A reason, or None while the plan still rests on what is true.
    """
    if rules_in_force().version != plan.run.rules_version:
        return "rules or weights changed since the plan was made"
    for reading in grid.pool_states(now):
        planned = plan.capacities.get(reading.pool)
        if planned is None or reading.capacity is None:
            continue
        if abs(reading.capacity - planned) > CAPACITY_TOLERANCE * max(planned, 1.0):
            return f"capacity of {reading.pool} went from {planned:g} to {reading.capacity:g}"
    return None
