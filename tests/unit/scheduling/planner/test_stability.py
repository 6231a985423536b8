"""Plans stay calm under noise, never fill capacity twice, and never break a sovereignty rule."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from scheduling.domain.availability import PoolLoad, left_for_guests
from scheduling.domain.planner.checks import Rule, verify
from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import PoolFacts
from scheduling.domain.planner.solver import solve
from scheduling.domain.sovereignty import Place, Reach, SovereigntyRule, rule_on
from tests.builders import a_group, a_problem

COOL_DOWN_SLOTS = 6


def test_noisy_demand_reverses_a_running_workload_at_most_once_in_six_cycles():
    rng = np.random.default_rng(8)
    home, moves, last_move = 0, [], -99
    for cycle in range(6):
        noise = rng.normal(0.0, 0.004, size=(3, 1))
        group = a_group(
            "job",
            home=home,
            is_running=True,
            duration_slots=6,
            duration_h=6.0,
            lost_h=0.25,
            away_from=max(0, last_move + COOL_DOWN_SLOTS - cycle),
        )
        energy = np.array([[0.02], [0.021], [0.022]]) + noise
        problem = a_problem(group, energy=energy.repeat(4, axis=1), slots=4)

        plan = solve(problem)

        pool = plan.placements[0].pool
        if pool != home:
            moves.append((home, pool))
            home, last_move = pool, cycle
    reversals = sum(one == other[::-1] for one, other in itertools.pairwise(moves))
    assert reversals <= 1
    assert len(moves) <= 1


def test_running_work_moves_only_when_the_gain_is_worth_the_checkpoint():
    cheap_there = a_problem(
        a_group(is_running=True, lost_h=1.0, jobs=2),
        energy=[0.5, 0.02, 0.5],
    )
    little_gain = a_problem(a_group(is_running=True, lost_h=1.0, jobs=2), energy=[0.05, 0.04, 0.05])

    assert {one.pool for one in solve(cheap_there).placements} == {1}
    assert solve(little_gain).placements == (Placement(0, 0, 0, 2),)


def test_what_running_work_releases_is_for_locals_never_for_guests():
    runner = a_group("runner", is_running=True, jobs=2)
    local, guest = a_group("local", jobs=2), a_group("guest", home=2, jobs=2)
    problem = a_problem(
        runner, local, guest, available=[0.0, 16.0, 0.0], energy=[0.9, 0.02, 0.9], slots=2
    )
    last = tuple(replace(group, latest_start=1) for group in problem.groups)

    plan = solve(replace(problem, groups=last))

    assert verify(replace(problem, groups=last), plan.placements) == []
    guests = [one for one in plan.placements if one.group == 2]
    assert all(one.pool != 0 for one in guests)


def test_two_bursts_in_one_telemetry_interval_never_fill_the_same_room_twice():
    load = PoolLoad(capacity=32.0, contract=32.0, reserve=0.0, allocated=8.0, queued=0.0)
    promised: list[tuple[float, float]] = []
    for burst in range(3):
        room = left_for_guests(replace(load, promised=tuple(promised)), np.full(4, 8.0))
        problem = a_problem(
            a_group(f"burst-{burst}", jobs=3, latest_start=0),
            available=np.vstack([np.zeros(4), room, np.zeros(4)]),
        )

        plan = solve(problem)

        promised += [(8.0, 2.0) for one in plan.placements for _ in range(one.jobs)]
    assert sum(units for units, _ in promised) <= 24.0
    assert len(promised) == 3


def random_rules(rng: np.random.Generator) -> list[SovereigntyRule]:
    """Rules at random, wildcards and contradictions included."""
    places = np.array(["CN", "HK", "MO", "*"])
    reaches = list(Reach)
    return [
        SovereigntyRule(
            f"S{n}",
            str(rng.choice(["open", "internal", "restricted"])),
            str(rng.choice(places)),
            str(rng.choice(places)),
            reaches[int(rng.integers(len(reaches)))],
        )
        for n in range(int(rng.integers(0, 6)))
    ]


def may_go(rules: list[SovereigntyRule], data_class: str, source: Place, there: Place) -> bool:
    """The same said otherwise: one rule that covers the pair and reaches that far."""
    if source.region == there.region:
        return True
    for rule in rules:
        covers = rule.from_jurisdiction in {"*", source.jurisdiction}
        covers &= rule.to_jurisdiction in {"*", there.jurisdiction}
        same = source.jurisdiction == there.jurisdiction
        far = rule.reach is Reach.ANYWHERE or (rule.reach is Reach.JURISDICTION and same)
        if rule.data_class == data_class and covers and far:
            return True
    return False


@pytest.mark.slow
def test_ten_thousand_random_rule_sets_are_never_broken():
    rng = np.random.default_rng(12)
    pools = (
        PoolFacts("a", "a", "R1", "CN"),
        PoolFacts("b", "b", "R2", "CN"),
        PoolFacts("c", "c", "R3", "HK"),
        PoolFacts("d", "d", "R4", "MO"),
    )
    places = [Place(pool.region, pool.jurisdiction) for pool in pools]
    classes = ("open", "internal", "restricted")
    checked = planned = 0
    for trial in range(10_000):
        rules = random_rules(rng)
        ruled = {
            (c, s, d): rule_on(rules, c, places[s], places[d]).is_allowed
            for c in classes
            for s in range(4)
            for d in range(4)
        }
        for (c, s, d), is_allowed in ruled.items():
            assert is_allowed == may_go(rules, c, places[s], places[d])
            checked += 1
        if trial % 250:
            continue
        groups = tuple(a_group(f"{c}{s}", data_class=c, home=s) for c in classes for s in range(4))
        allowed = np.array([[ruled[g.data_class, g.home, p] for p in range(4)] for g in groups])
        problem = replace(
            a_problem(*groups, pools=pools, available=[0.0, 16.0, 24.0, 8.0]), allowed=allowed
        )
        plan = solve(problem)
        broken = [v for v in verify(problem, plan.placements) if v.rule is Rule.NOT_ALLOWED]
        assert broken == []
        for one in plan.placements:
            group = groups[one.group]
            assert may_go(rules, group.data_class, places[group.home], places[one.pool])
            planned += 1
    assert checked == 480_000
    assert planned > 50
