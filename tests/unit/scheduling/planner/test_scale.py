"""Plans by prices keep every rule, prove their gap, and begin where the last one ended."""

from dataclasses import replace

import numpy as np
import pytest

from scheduling.domain.planner.checks import recompute_cost, verify
from scheduling.domain.planner.order import Order
from scheduling.domain.planner.outcome import PlanStatus
from scheduling.domain.planner.problem import PlanningProblem
from scheduling.domain.planner.scale import blocks
from scheduling.domain.planner.scale.arcs import build_arcs
from scheduling.domain.planner.scale.ascent import climb
from scheduling.domain.planner.scale.block import promising
from scheduling.domain.planner.scale.blocks import place_in_blocks
from scheduling.domain.planner.scale.compiled import board as boards
from scheduling.domain.planner.scale.compiled.spread import exp_of, log_of
from scheduling.domain.planner.scale.prices import Market, build_prices
from scheduling.domain.planner.scale.rounding import Rounding, better, place_left, single_jobs
from scheduling.domain.planner.scale.search import search_at_scale
from scheduling.domain.planner.scale.smooth import SmoothBound, cheapest
from scheduling.domain.planner.solver import do_nothing, needs_scale, solve
from tests.builders import a_grid


@pytest.fixture(scope="module")
def wide_grid() -> PlanningProblem:
    return a_grid(pools=28, slots=24, groups=160, seed=11)


def test_a_wide_grid_is_planned_by_prices_within_all_rules(wide_grid):
    assert needs_scale(wide_grid)

    plan, stay = solve(wide_grid), do_nothing(wide_grid)

    for outcome in (plan, stay):
        assert verify(wide_grid, outcome.placements) == []
        cost = recompute_cost(wide_grid, outcome.placements)
        assert cost == pytest.approx(outcome.objective, rel=1e-9)
        assert outcome.bound <= outcome.objective
    assert plan.objective < stay.objective
    assert plan.bound <= stay.bound
    assert plan.gap < 0.2
    assert all(one.pool == wide_grid.groups[one.group].home for one in stay.placements)


def test_the_same_question_gives_the_same_plan(wide_grid):
    assert solve(wide_grid) == solve(wide_grid)


def test_the_order_of_pools_and_groups_does_not_matter(wide_grid):
    rng = np.random.default_rng(3)
    pools, groups = rng.permutation(28), rng.permutation(160)
    place = np.argsort(pools)
    shuffled = replace(
        wide_grid,
        pools=tuple(wide_grid.pools[p] for p in pools),
        groups=tuple(
            replace(wide_grid.groups[g], home=int(place[wide_grid.groups[g].home])) for g in groups
        ),
        available=wide_grid.available[pools],
        home_available=wide_grid.home_available[pools],
        energy_usd_per_unit_h=wide_grid.energy_usd_per_unit_h[pools],
        carbon_kg_per_unit_h=wide_grid.carbon_kg_per_unit_h[pools],
        allowed=wide_grid.allowed[np.ix_(groups, pools)],
        egress_usd_per_gb=wide_grid.egress_usd_per_gb[np.ix_(pools, pools)],
        transfer_h_per_gb=wide_grid.transfer_h_per_gb[np.ix_(pools, pools)],
    )

    plan, other = solve(wide_grid), solve(shuffled)

    assert other.objective == pytest.approx(plan.objective)
    renamed = sorted(
        (int(groups[one.group]), int(pools[one.pool]), one.slot, one.jobs)
        for one in other.placements
    )
    assert renamed == [(o.group, o.pool, o.slot, o.jobs) for o in plan.placements]


def test_prices_agree_with_the_exact_search_on_a_grid_that_both_can_plan():
    grid = a_grid(pools=6, slots=12, groups=20, seed=7)
    exact = solve(grid)

    answer = search_at_scale(Order.by_name(grid).problem)

    assert exact.status in {PlanStatus.OPTIMAL, PlanStatus.WITHIN_GAP}
    assert answer.bound_usd <= exact.objective
    assert exact.bound - 1e-6 <= answer.cost_usd
    assert answer.bound_usd >= 0.97 * exact.objective
    assert answer.cost_usd <= 1.1 * exact.objective


def test_a_baseline_that_costs_less_is_kept(wide_grid):
    plan = solve(wide_grid)

    again = solve(wide_grid, baseline=plan)

    assert again.objective <= plan.objective


def test_what_a_plan_remembers_is_planned_on_after_a_change(wide_grid):
    cold = solve(wide_grid)
    changed = replace(wide_grid, available=np.floor(wide_grid.available * 0.98))

    warm = solve(changed, memory=cold.memory)

    assert verify(changed, warm.placements) == []
    assert warm.bound <= warm.objective
    kept = set(cold.placements) & set(warm.placements)
    assert len(kept) > 0.5 * len(cold.placements)


def test_an_hour_later_remembered_starts_move_up_by_a_slot(wide_grid):
    cold = solve(wide_grid)
    later = replace(wide_grid, starts_at=wide_grid.starts_at.replace(hour=2))

    warm = solve(later, memory=cold.memory)

    assert verify(later, warm.placements) == []


def test_the_slope_of_the_smoothed_bound_is_its_change(wide_grid):
    problem = Order.by_name(wide_grid).problem
    arcs = build_arcs(problem)
    space = build_prices(problem, arcs)
    smooth = SmoothBound(Market(problem, arcs, space))
    rng = np.random.default_rng(2)
    prices = rng.uniform(0.0, 0.1, len(space.limits))
    slope = smooth.at(prices, 0.05).slope

    for place in rng.integers(0, len(prices), 12):
        step = np.zeros_like(prices)
        step[place] = 0.01
        rise = smooth.at(prices + step, 0.05).bound_usd - smooth.at(prices - step, 0.05).bound_usd
        assert rise / 0.02 == pytest.approx(slope[place], rel=0.05, abs=0.5)


def test_the_bound_holds_at_any_prices(wide_grid):
    problem = Order.by_name(wide_grid).problem
    arcs = build_arcs(problem)
    market = Market(problem, arcs, build_prices(problem, arcs))
    plan = solve(wide_grid)

    for seed in range(5):
        prices = np.random.default_rng(seed).exponential(0.1, len(market.space.limits))
        assert cheapest(market, prices) <= plan.objective


def test_a_climb_finds_the_top_of_a_hill_in_a_box():
    top = np.array([1.0, -1.0, 9.0])

    def hill(point):
        return -float(((point - top) ** 2).sum()), -2.0 * (point - top)

    found = climb(
        hill,
        np.array([5.0, 5.0, 5.0]),
        most=np.array([np.inf, np.inf, 4.0]),
        scale=np.ones(3),
        steps=100,
        tolerance=0.0,
    )

    assert found.point == pytest.approx([1.0, 0.0, 4.0], abs=1e-4)


@pytest.fixture(scope="module")
def market(wide_grid) -> Market:
    problem = Order.by_name(wide_grid).problem
    arcs = build_arcs(problem)
    return Market(problem, arcs, build_prices(problem, arcs))


def a_full_plan(market: Market) -> Rounding:
    plan = Rounding(market)
    place_left(plan, plan.signs(np.zeros(len(market.space.limits))))
    return plan


def test_exponents_and_logarithms_are_right_to_a_millionth():
    steps = np.linspace(-59.0, 0.0, 200).astype(np.float32)

    powers = np.array([exp_of(x) for x in steps])
    logs = np.array([log_of(np.float32(x)) for x in np.linspace(1.0, 48.0, 200)])

    assert powers == pytest.approx(np.exp(steps), rel=1e-6)
    assert logs == pytest.approx(np.log(np.linspace(1.0, 48.0, 200)), abs=1e-6)


def test_what_fits_is_the_least_room_while_the_job_runs(market):
    plan = a_full_plan(market)
    arcs, tables = market.arcs, plan.tables

    for arc in range(0, len(arcs), 37):
        group, ride = int(arcs.group[arc]), int(arcs.ride[arc])
        for slot in range(int(tables.earliest[ride]), int(tables.latest[arc]) + 1):
            room = plan.board.room[:, slot : slot + int(tables.slots[ride])].min(axis=1)
            pool, pools = int(arcs.pool[arc]), len(market.problem.pools)
            least = min(room[pool], room[pools + pool]) if arcs.rides.is_away[ride] else room[pool]
            if arcs.lane[arc]:
                out, into = divmod(int(arcs.lane[arc]), market.space.regions)
                least = min(least, plan.board.out[out], plan.board.into[into])
            assert plan.fits_at(group, arc, slot) == max(0, least // arcs.units[group])


def test_undoing_restores_room_jobs_and_cost(market):
    plan = a_full_plan(market)
    starts, room = plan.starts(), plan.board.room.copy()
    cost_usd = plan.cost_usd()
    plan.board.tally[1] = 0

    for group, arc, slot, jobs in starts[:50].tolist():
        boards.put(plan.tables, plan.board, group, arc, slot, -jobs)
    boards.undo(plan.tables, plan.board)

    assert np.array_equal(plan.starts(), starts)
    assert np.array_equal(plan.board.room, room)
    assert plan.cost_usd() == pytest.approx(cost_usd)


def test_rebuilding_pools_makes_a_plan_cheaper_and_breaks_no_limit(market):
    plan = a_full_plan(market)
    before_usd = plan.cost_usd()

    better(plan, plan.signs(np.zeros(len(market.space.limits))), np.arange(280) % 28)

    assert plan.cost_usd() < before_usd
    assert plan.cost_usd() == pytest.approx(recompute_cost(market.problem, plan.placements()))
    assert verify(market.problem, list(plan.placements())) == []


def test_blocks_of_pools_together_place_nearly_what_one_programme_does(market, monkeypatch):
    prices = search_at_scale(market.problem).prices
    costs = []
    for most in (40_000, 200):
        plan = Rounding(market)
        signs = plan.signs(prices)
        cells = promising(plan, signs, single_jobs(market), 0.012)
        arc_units = SmoothBound(market).at(prices, 0.0003).arc_units
        monkeypatch.setattr(blocks, "MOST_CELLS", most)
        monkeypatch.setattr(blocks, "BLOCK_CELLS", most)
        place_in_blocks(plan, signs, cells, arc_units)
        place_left(plan, signs)
        assert verify(market.problem, list(plan.placements())) == []
        costs.append(plan.cost_usd())

    assert costs[1] <= 1.15 * costs[0]


def test_running_work_keeps_its_room_when_starts_are_remembered(wide_grid):
    cold = solve(wide_grid)
    now_running = {one.group for one in cold.placements[::5]}
    groups = tuple(
        replace(group, is_running=True, jobs=1, latest_start=0, first_start=0)
        if g in now_running
        else group
        for g, group in enumerate(wide_grid.groups)
    )
    later = Order.by_name(replace(wide_grid, groups=groups)).problem

    warm = search_at_scale(later, memory=cold.memory)

    assert verify(later, list(warm.placements)) == []
    still_running = {one.group for one in warm.placements if later.groups[one.group].is_running}
    assert len(still_running) == len(now_running)
