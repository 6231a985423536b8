"""Climbs a smooth concave function over a box: limited-memory BFGS, projected."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.problem import BoolArray, FloatArray
from scheduling.domain.planner.scale.compiled.climbing import dot, free_slope, way_up

MEMORY = 12
ENOUGH_RISE = 1e-4
SHORTEST = 1e-4


@dataclass(frozen=True)
class Summit:
    """Where a climb ended, and how many evaluations it took."""

    point: FloatArray
    height: float
    evaluations: int


class _Steps:
    """The last steps of a climb, and by how much the slope fell along them."""

    def __init__(self, size: int) -> None:
        self.moved, self.turned = np.empty((MEMORY, size)), np.empty((MEMORY, size))
        self.curvature = np.ones(MEMORY)
        self.order: list[int] = []

    def keep(self, moved: FloatArray, turned: FloatArray) -> None:
        """Remember a step if the function curves along it; the oldest is forgotten."""
        curvature = dot(moved, turned)
        if curvature <= 1e-12 * dot(moved, moved):
            return
        row = self.order.pop(0) if len(self.order) == MEMORY else len(self.order)
        self.moved[row], self.turned[row], self.curvature[row] = moved, turned, curvature
        self.order.append(row)

    def way_up(
        self, free: FloatArray, is_free: BoolArray, metric: FloatArray, first: float
    ) -> FloatArray:
        """Return where to go from the free part of the slope."""
        order = np.array(self.order, dtype=np.int64)
        way = way_up(free, self.moved, self.turned, self.curvature, order, metric)
        way[~is_free] = 0.0
        if dot(way, free) <= 0:
            way = metric * free
            self.order.clear()
        if not self.order:
            way *= first / max(float(np.abs(way / np.sqrt(metric)).max()), 1e-300)
        return way


def climb(
    function: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    *,
    most: FloatArray,
    scale: FloatArray,
    steps: int,
    tolerance: float,
) -> Summit:
    """This function will raise a smooth concave function over 0 <= point <= most.

    Args:
        function: gives height and gradient at a point.
        start: (N,) where to begin.
        most: (N,) upper limits, may be infinite.
        scale: (N,) typical sizes, used as the first metric.
        steps: most steps.
        tolerance: stops when ten steps together raise the height by less than this share.

    Returns:
        The highest point found.

    Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006, chapters 7.2 and 16.7.
    """
    point = np.clip(start, 0.0, most)
    height, slope = function(point)
    # infinite numbers do not come into compiled sums
    most = np.minimum(most, 1e300)
    remembered, metric = _Steps(len(point)), scale * scale
    is_free = np.empty(len(point), dtype=np.bool_)
    heights = [height]
    evaluations = 1
    for _ in range(steps):
        free = free_slope(point, slope, most, is_free)
        # a first step of a tenth of what prices typically are
        typical = 0.1 * max(float(np.abs(point / scale).mean()), 1e-2)
        way = remembered.way_up(free, is_free, metric, typical)
        length = 1.0
        while True:
            trial = np.clip(point + length * way, 0.0, most)
            trial_height, trial_slope = function(trial)
            evaluations += 1
            rise = dot(slope, trial - point)
            if trial_height >= height + ENOUGH_RISE * rise or length < SHORTEST:
                break
            length *= 0.3
        if trial_height <= height:
            break
        remembered.keep(trial - point, slope - trial_slope)
        point, height, slope = trial, trial_height, trial_slope
        heights.append(height)
        if len(heights) > 10 and height - heights[-11] < tolerance * abs(height):
            break
    return Summit(point, height, evaluations)
