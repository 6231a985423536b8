"""The inner products of a climb: which way to go, from the steps that it remembers."""

import numpy as np

from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray
from scheduling.domain.planner.scale.compiled.jit import compiled_loosely


@compiled_loosely
def dot(one: FloatArray, other: FloatArray) -> float:
    """This function will return the inner product; never by threads, so always the same sum."""
    total = 0.0
    for n in range(len(one)):
        total += one[n] * other[n]
    return total


@compiled_loosely
def add_scaled(factor: float, other: FloatArray, out: FloatArray) -> None:
    """This function will add a vector times a factor to another."""
    for n in range(len(out)):
        out[n] += factor * other[n]


@compiled_loosely
def scaled_square(turned: FloatArray, metric: FloatArray) -> float:
    """This function will return the sum of metric * turned * turned."""
    total = 0.0
    for n in range(len(turned)):
        total += metric[n] * turned[n] * turned[n]
    return total


@compiled_loosely
def way_up(
    slope: FloatArray,
    moved: FloatArray,
    turned: FloatArray,
    curvature: FloatArray,
    order: IntArray,
    metric: FloatArray,
) -> FloatArray:
    """This function will return the inverse curvature along remembered steps times the slope.

    Args:
        slope: (N,).
        moved: (M, N) steps.
        turned: (M, N) by how much the slope fell along them.
        curvature: (M,) their inner products.
        order: rows to use, oldest first; may be none.
        metric: (N,) first guess of the inverse curvature.

    Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006, algorithm 7.4.
    """
    way = slope.copy()
    factors = np.zeros(len(curvature))
    for n in range(len(order) - 1, -1, -1):
        row = order[n]
        factors[row] = dot(moved[row], way) / curvature[row]
        add_scaled(-factors[row], turned[row], way)
    scale = 1.0
    if len(order):
        last = order[-1]
        scale = curvature[last] / scaled_square(turned[last], metric)
    for n in range(len(way)):
        way[n] *= scale * metric[n]
    for n in range(len(order)):
        row = order[n]
        back = dot(turned[row], way) / curvature[row]
        add_scaled(factors[row] - back, moved[row], way)
    return way


@compiled_loosely
def free_slope(
    point: FloatArray, slope: FloatArray, most: FloatArray, is_free: BoolArray
) -> FloatArray:
    """This function will return the slope where the box lets it lead; elsewhere 0.

    Args:
        point: (N,) where it is.
        slope: (N,) there.
        most: (N,) upper limits.
        is_free: (N,) written.
    """
    free = np.zeros(len(point))
    for n in range(len(point)):
        stuck = (point[n] <= 0.0 and slope[n] < 0.0) or (point[n] >= most[n] and slope[n] > 0.0)
        is_free[n] = not stuck
        if not stuck:
            free[n] = slope[n]
    return free
