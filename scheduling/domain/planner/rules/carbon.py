"""Which carbon cap holds for a pool in a slot: that of its region on the slot's day."""

import datetime as dt

import numpy as np

from scheduling.domain.planner.problem import IntArray, PlanningProblem


def cap_places(problem: PlanningProblem) -> IntArray:
    """This function will return (P, T) the place of each cap, their number where there is none."""
    place = {(cap.region, cap.day): n for n, cap in enumerate(problem.carbon_caps)}
    days = [(problem.starts_at + dt.timedelta(hours=t)).date() for t in range(problem.slots)]
    by_region = np.array(
        [[place.get((region, day), len(place)) for day in days] for region in problem.regions],
        dtype=np.int64,
    )
    places: IntArray = by_region[problem.region_of]
    return places
