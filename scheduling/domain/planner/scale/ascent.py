"""Climbs a smooth concave function over a box: limited-memory BFGS, projected."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.problem import FloatArray

MEMORY = 12
ENOUGH_RISE = 1e-4
SHORTEST = 1e-4


@dataclass(frozen=True)
class Summit:
    """Where a climb ended, and how many evaluations it took."""

    point: FloatArray
    height: float
    evaluations: int


def dot(one: FloatArray, other: FloatArray) -> float:
    """This function will return the inner product; never by threads, so always the same sum."""
    return float((one * other).sum())


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
    pairs: deque[tuple[FloatArray, FloatArray, float]] = deque(maxlen=MEMORY)
    metric = scale * scale
    heights = [height]
    evaluations = 1
    for _ in range(steps):
        is_free = ~((point <= 0) & (slope < 0)) & ~((point >= most) & (slope > 0))
        direction = _direction(np.where(is_free, slope, 0.0), pairs, metric)
        direction[~is_free] = 0.0
        if dot(direction, slope) <= 0:
            direction = np.where(is_free, metric * slope, 0.0)
            pairs.clear()
        if not pairs:
            direction *= _first_length(point, scale, direction)
        length = 1.0
        while True:
            trial = np.clip(point + length * direction, 0.0, most)
            trial_height, trial_slope = function(trial)
            evaluations += 1
            rise = dot(slope, trial - point)
            if trial_height >= height + ENOUGH_RISE * rise or length < SHORTEST:
                break
            length *= 0.3
        if trial_height <= height:
            break
        moved, turned = trial - point, slope - trial_slope
        curvature = dot(moved, turned)
        if curvature > 1e-12 * dot(moved, moved):
            pairs.append((moved, turned, curvature))
        point, height, slope = trial, trial_height, trial_slope
        heights.append(height)
        if len(heights) > 10 and height - heights[-11] < tolerance * abs(height):
            break
    return Summit(point, height, evaluations)


def _first_length(point: FloatArray, scale: FloatArray, direction: FloatArray) -> float:
    """A first step of a hundredth of what prices typically are."""
    typical = max(float(np.abs(point / scale).mean()), 1e-2)
    size = float(np.abs(direction / scale).max())
    return 0.1 * typical / size if size > 0 else 1.0


def _direction(
    slope: FloatArray,
    pairs: deque[tuple[FloatArray, FloatArray, float]],
    metric: FloatArray,
) -> FloatArray:
    """Two loops: the inverse curvature along remembered steps times the slope."""
    result = slope.copy()
    factors = []
    for moved, turned, curvature in reversed(pairs):
        factor = dot(moved, result) / curvature
        result -= factor * turned
        factors.append(factor)
    if pairs:
        moved, turned, curvature = pairs[-1]
        result *= metric * (curvature / dot(turned, metric * turned))
    else:
        result *= metric
    for (moved, turned, curvature), factor in zip(pairs, reversed(factors), strict=True):
        result += (factor - dot(turned, result) / curvature) * moved
    return result
