"""Refuses planning problems that cannot be true, before anything is computed from them."""

import math
from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from controlplane.lib.errors import GridError
from scheduling.domain.planner.problem import DemandGroup, PlanningProblem, Quota, Weights
from scheduling.domain.planner.rules.quotas import MOST_KEEPERS

LARGEST = 1e9


class ProblemNotSane(GridError):
    """An input of the planner cannot be true; the extra member `field` names it."""

    code = "planning-problem-not-sane"


def check_problem(problem: PlanningProblem) -> None:
    """This function will refuse a problem whose arrays do not fit together or hold nonsense.

    Args:
        problem: the situation.

    Raises:
        ProblemNotSane: a shape is off, a value is not finite, or a size is out of range.
    """
    pools, slots = len(problem.pools), problem.slots
    if slots < 1 or pools < 1:
        raise ProblemNotSane("There is no slot or no pool to plan for.", field="slots")
    _check_zones(problem)
    _check_arrays(problem)
    zones = len(problem.egress_usd_per_gb)
    for group in problem.groups:
        _check_group(group, pools, slots, zones)
    _check_latency(problem)
    _check_names(problem)
    _check_limits(problem)
    _check_quotas(problem)


def _check_zones(problem: PlanningProblem) -> None:
    """Zones are rows of the network matrices, so they come before the arrays."""
    zone, zones = problem.zone_of, len(problem.egress_usd_per_gb)
    if zone.shape != (len(problem.pools),) or (zone < 0).any() or (zone >= zones).any():
        raise ProblemNotSane(
            f"{len(zone)} pools lie in zones up to {zone.max(initial=0)}, the network has {zones}.",
            field="egress_usd_per_gb" if problem.zones is None else "zones",
        )


def _check_arrays(problem: PlanningProblem) -> None:
    pools, groups, slots = len(problem.pools), len(problem.groups), problem.slots
    zones = len(problem.egress_usd_per_gb)
    shapes = {
        "available": (pools, slots),
        "home_available": (pools, slots),
        "energy_usd_per_unit_h": (pools, slots),
        "carbon_kg_per_unit_h": (pools, slots),
        "allowed": (groups, pools),
        "egress_usd_per_gb": (zones, zones),
        "transfer_h_per_gb": (zones, zones),
        "rtt_ms": (zones, zones),
        "closed": (pools, slots),
        "surplus": (pools, slots),
    }
    for name, shape in shapes.items():
        array = getattr(problem, name)
        if array is None:
            continue
        if array.shape != shape:
            raise ProblemNotSane(f"{name} has shape {array.shape}, not {shape}.", field=name)
        if name in ("allowed", "closed"):
            if array.dtype != np.bool_:
                message = f"{name} holds something else than True and False."
                raise ProblemNotSane(message, field=name)
        elif not np.all(np.abs(array) <= LARGEST):
            raise ProblemNotSane(f"{name} holds a value that is not finite.", field=name)
        elif name != "energy_usd_per_unit_h" and np.any(array < 0):
            raise ProblemNotSane(f"{name} holds a negative value.", field=name)
    if problem.surplus is not None and np.any(problem.surplus > 1):
        raise ProblemNotSane("surplus is a share, and passes 1.", field="surplus")


def _check_names(problem: PlanningProblem) -> None:
    """Plans are told, ordered and compared by name, so names must be unique."""
    names: dict[str, list[object]] = {
        "pools": [pool.code for pool in problem.pools],
        "groups": [group.key for group in problem.groups],
        "quotas": [quota.name for quota in problem.quotas],
        "carbon_caps": [(cap.region, cap.day) for cap in problem.carbon_caps],
    }
    for name, values in names.items():
        if len(set(values)) < len(values):
            raise ProblemNotSane(f"Two {name} have the same name.", field=name)


def _check_limits(problem: PlanningProblem) -> None:
    """Limits may be infinite (none) or negative (a contradiction that the solver names)."""
    for name in ("max_out_units", "max_in_units"):
        _refuse_nan(name, getattr(problem, name).values())
    _refuse_nan("carbon_caps", (cap.most_kg for cap in problem.carbon_caps))
    for weight in fields(Weights):
        value = getattr(problem.weights, weight.name)
        if not 0 <= value <= LARGEST:
            raise ProblemNotSane(f"Weight {weight.name} is {value}.", field=weight.name)
    for name in ("throughput", "fair_unit_h"):
        for key, value in getattr(problem, name).items():
            if not 0 <= value <= LARGEST or 0 < value < 1 / LARGEST:
                raise ProblemNotSane(f"{name} of {key} is {value}.", field=name)


def _refuse_nan(name: str, values: Iterable[float]) -> None:
    if any(math.isnan(value) for value in values):
        raise ProblemNotSane(f"{name} holds a value that is not a number.", field=name)


def _check_quotas(problem: PlanningProblem) -> None:
    """Every parent is there, and no node is its own ancestor."""
    parents = {quota.name: quota.parent for quota in problem.quotas}
    for quota in problem.quotas:
        _check_quota(quota)
        keepers = [
            one
            for one in problem.quotas
            if one.parent == quota.name and one.lending_units < LARGEST
        ]
        if len(keepers) > MOST_KEEPERS:
            message = f"More than {MOST_KEEPERS} members of {quota.name} limit what they lend."
            raise ProblemNotSane(message, field="quotas")
        seen, node = {quota.name}, quota.parent
        while node:
            if node in seen or node not in parents:
                message = f"Quota {quota.name} has no root: {node} is missing or below itself."
                raise ProblemNotSane(message, field="quotas")
            seen.add(node)
            node = parents[node]


def _check_quota(quota: Quota) -> None:
    sizes = (quota.nominal_units, quota.in_use_units)
    limits = (quota.borrowing_units, quota.lending_units)
    if not all(0 <= size <= LARGEST for size in sizes) or not all(limit >= 0 for limit in limits):
        raise ProblemNotSane(f"Quota {quota.name} is out of range: {quota}.", field="quotas")


def _check_latency(problem: PlanningProblem) -> None:
    if problem.rtt_ms is None and any(group.user_zone is not None for group in problem.groups):
        raise ProblemNotSane("A group has users, but rtt_ms is missing.", field="rtt_ms")


def _check_group(group: DemandGroup, pools: int, slots: int, zones: int) -> None:
    is_sane = (
        0 <= group.home < pools
        and group.units >= 1
        and group.jobs >= 1
        and group.duration_slots >= 1
        and 0 < group.duration_h <= group.duration_slots
        and 0 <= group.first_start <= group.latest_start < slots
        and group.away_from >= 0
        and 0 <= group.data_gb <= LARGEST
        and 0 <= group.lost_h <= LARGEST
        and group.latency_bound_ms >= 0
        and (group.user_zone is None or 0 <= group.user_zone < zones)
        and not (group.is_running and group.first_start)
    )
    if not is_sane:
        raise ProblemNotSane(f"Group {group.key} is out of range: {group}.", field="groups")
