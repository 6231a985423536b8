"""What rules cost, which of them conflict, and how often the stated risk came true."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from scheduling.domain.planner.exact.conflicts import in_words, stuck_rules
from scheduling.domain.planner.explain.risk import Promise, risk_reports, wilson_interval
from scheduling.domain.planner.explain.rule_costs import RuleCost, rule_costs, told
from scheduling.domain.planner.facts import MoveReason, WaitReason
from scheduling.domain.planner.moves import draft_moves
from scheduling.domain.planner.outcome import PlanStatus
from scheduling.domain.planner.problem import CarbonCap, Quota
from scheduling.domain.planner.reasons import explain_moves, explain_waiting
from scheduling.domain.planner.rules.fairness import fair_shares, fairness_index
from scheduling.domain.planner.rules.quotas import quota_rows
from scheduling.domain.planner.rules.services import ServiceDemand, service_groups
from scheduling.domain.planner.sanity import ProblemNotSane, check_problem
from scheduling.domain.planner.solver import do_nothing, solve
from tests.builders import a_group, a_problem, a_short_home


def test_a_limit_costs_what_the_plan_without_it_saves():
    limited = a_short_home(max_out_units={"CN-BJ": 8.0}, max_in_units={"CN-GZ": 99.0})
    plan, free = solve(limited), solve(a_short_home())

    costs = rule_costs(limited, plan)

    assert [one.name for one in costs] == ["max_out[CN-BJ]"]
    days = limited.slots / 24
    assert costs[0].usd_per_day == pytest.approx((plan.objective - free.objective) / days)
    kg = plan.parts.carbon_kg - free.parts.carbon_kg
    assert costs[0].kg_per_day == pytest.approx(kg / days)


def test_a_sovereignty_rule_costs_what_allowing_it_saves():
    problem = a_short_home()
    strict = replace(problem, allowed=np.array([[True, False, False]]))

    costs = rule_costs(strict, solve(strict), without={"S3": problem.allowed})

    assert costs[0].name == "S3"
    assert costs[0].usd_per_day > 0


def test_what_a_rule_costs_is_told_in_both_languages():
    chinese, english = told(RuleCost("S3", 412.3, -80.2, 0.0))

    assert chinese == "规则 S3 每天多花 412 美元，少排放 80 kg CO2e。"
    assert english == "Rule S3 costs 412 USD a day and saves 80 kg CO2e."


def test_running_work_above_its_quota_is_infeasible_and_only_that_is_named():
    groups = (
        a_group("much", is_running=True, tenant="ann", jobs=2, latest_start=0),
        a_group("fine", is_running=True, tenant="bob"),
    )
    quotas = (Quota("ann", nominal_units=8.0), Quota("bob", nominal_units=8.0))
    cap = CarbonCap("CN-BJ", dt.date(2023, 5, 26), 1e6)
    problem = replace(a_problem(*groups), quotas=quotas, carbon_caps=(cap,))

    outcome = solve(problem)

    assert outcome.status is PlanStatus.INFEASIBLE
    assert outcome.conflicts == ("quota[ann]", "runs[much]")
    assert stuck_rules(replace(problem, quotas=quotas[1:])) == ()


def test_a_conflict_is_told_in_both_languages():
    chinese, english = in_words(("quota[ann]", "runs[much]"))

    assert chinese == "无法同时满足：ann 的配额、正在运行的作业 much 不得中断。"
    assert english == (
        "These cannot be kept together: the quota of ann, running work much that must go on."
    )
    assert in_words(("max_in[CN-NM]",))[1] == (
        "This cannot be kept: the limit on what enters region CN-NM."
    )
    assert in_words(()) == ("", "")


def test_a_quota_that_is_used_up_and_more_is_a_contradiction():
    quotas = (Quota("ann", nominal_units=8.0, in_use_units=9.0),)

    outcome = solve(replace(a_problem(a_group(tenant="ann")), quotas=quotas))

    assert outcome.status is PlanStatus.INFEASIBLE
    assert outcome.conflicts == ("quota[ann]",)


def test_a_member_borrows_what_others_lend_and_not_what_they_keep():
    quotas = (
        Quota("lab"),
        Quota("ann", parent="lab", nominal_units=8.0),
        Quota("bob", parent="lab", nominal_units=16.0, lending_units=8.0),
    )
    group = a_group(tenant="ann", jobs=4, latest_start=0)

    placed = solve(replace(a_problem(group, available=64.0), quotas=quotas))

    assert sum(one.jobs for one in placed.placements) == 2
    names = [row.name for row in quota_rows(replace(a_problem(group), quotas=quotas))]
    assert names == ["quota[lab]", "lending[lab;bob]", "quota[ann]", "quota[bob]"] or (
        set(names) >= {"quota[lab]", "lending[lab;bob]"}
    )


@pytest.mark.parametrize(
    "quotas",
    [
        pytest.param((Quota("a", parent="b"),), id="parent missing"),
        pytest.param((Quota("a", parent="b"), Quota("b", parent="a")), id="circle"),
        pytest.param((Quota("a", nominal_units=np.nan),), id="NaN"),
        pytest.param((Quota("a"), Quota("a")), id="twice"),
        pytest.param(
            (Quota("c"), *(Quota(f"m{n}", parent="c", lending_units=1.0) for n in range(7))),
            id="too many lenders",
        ),
    ],
)
def test_quotas_that_cannot_be_true_are_refused(quotas):
    with pytest.raises(ProblemNotSane) as refused:
        check_problem(replace(a_problem(a_group()), quotas=quotas))

    assert refused.value.extra["field"] == "quotas"


def test_a_service_is_served_slot_by_slot_within_its_latency_bound():
    service = ServiceDemand(
        key="chat",
        home=0,
        data_class="open",
        units=np.array([2.0, 0.0, 3.2, 1.0]),
        user_zone=0,
        latency_bound_ms=30.0,
    )
    groups = service_groups(service)
    rtt = np.array([[1.0, 20.0, 90.0], [20.0, 1.0, 90.0], [90.0, 90.0, 1.0]])
    problem = replace(
        a_problem(*groups, available=[1.0, 16.0, 16.0], home_available=1.0), rtt_ms=rtt
    )

    plan = solve(problem)

    assert [(group.jobs, group.first_start) for group in groups] == [(2, 0), (4, 2), (1, 3)]
    assert plan.unplaced == (0, 0, 0)
    assert {one.pool for one in plan.placements} == {0, 1}
    assert all(one.slot == groups[one.group].first_start for one in plan.placements)
    assert plan.parts.delay_usd == 0.0


def test_fair_shares_give_what_is_not_needed_to_the_others_by_weight():
    shares = fair_shares({"a": 1.0, "b": 50.0, "c": 50.0}, {"b": 3.0}, 9.0)

    assert shares == pytest.approx({"a": 1.0, "b": 6.0, "c": 2.0})


def test_a_fair_share_is_served_first_when_it_is_dear_to_miss():
    groups = (
        a_group("ann", tenant="ann", jobs=2, latest_start=0),
        a_group("bob", tenant="bob", jobs=2, latest_start=0, duration_h=1.5),
    )
    scarce = a_problem(*groups, available=[16.0, 0.0, 0.0], slots=2)
    fair = replace(
        scarce,
        fair_unit_h={"bob": 12.0},
        weights=replace(scarce.weights, fairness_usd_per_unit_h=10.0),
    )

    before, after = solve(scarce), solve(fair)

    assert before.unplaced == (0, 2)
    assert after.unplaced == (1, 1)
    assert after.parts.fairness_usd == 0.0


def test_the_fairness_index_falls_from_one_to_one_nth():
    fair = {"a": 2.0, "b": 2.0}

    assert fairness_index({"a": 1.0, "b": 1.0}, fair) == pytest.approx(1.0)
    assert fairness_index({"a": 2.0}, fair) == pytest.approx(0.5)
    assert fairness_index({}, fair) == 1.0


def test_the_realised_share_of_breaches_is_set_beside_the_stated_one():
    rng = np.random.default_rng(5)
    said = [Promise(0.9, 10.0, float(units)) for units in rng.uniform(0, 100 / 9, 2000)]
    bold = [Promise(0.99, 10.0, float(units)) for units in rng.uniform(0, 100 / 9, 2000)]

    calm, late = risk_reports([*bold, *said, Promise(0.9, 10.0, None)])

    assert (calm.risk_quantile, calm.unknown, calm.promises) == (0.9, 1, 2000)
    assert calm.breach_share == pytest.approx(0.1, abs=0.02)
    assert calm.is_kept
    assert not late.is_kept
    assert late.excess_units == pytest.approx(5 / 9, abs=0.1)


def test_no_outcome_is_no_evidence():
    (report,) = risk_reports([Promise(0.9, 10.0, None)])

    assert report.breach_share is None
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert report.is_kept


def test_work_that_a_quota_keeps_waiting_is_told_so():
    quotas = (Quota("ann", nominal_units=8.0),)
    problem = replace(a_problem(a_group(tenant="ann", jobs=2, latest_start=0)), quotas=quotas)
    plan = solve(problem)

    (line,) = explain_waiting(problem, plan, names={})

    assert line.code is WaitReason.QUOTA_OR_CAP
    assert line.text_en == "Pools have room, but a tenant's quota or a carbon cap is used up."
    assert line.text_zh == "资源池有余量，但租户配额或地区碳排放上限已用完。"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        pytest.param(
            {"surplus": np.array([[0.0] * 4, [1.0] * 4, [0.0] * 4])},
            MoveReason.SURPLUS_POWER,
            "surplus renewable power",
            id="surplus",
        ),
        pytest.param(
            {"rtt_ms": np.array([[1.0, 9.0, 9.0], [9.0, 1.0, 9.0], [9.0, 9.0, 1.0]])},
            MoveReason.CLOSER_TO_USERS,
            "closer to its users",
            id="latency",
        ),
    ],
)
def test_moves_for_surplus_power_or_users_say_so(changes, code, words):
    problem = a_problem(a_group(user_zone=1 if "rtt_ms" in changes else None))
    weights = replace(problem.weights, surplus_usd_per_unit_h=1.0, latency_usd_per_unit_h_ms=0.1)
    problem = replace(problem, weights=weights, **changes)
    plan = solve(problem)
    moves = draft_moves(problem, plan, do_nothing(problem)).moves

    (why,) = explain_moves(problem, plan, moves, names={}, tz=dt.UTC)

    assert why.code is code
    assert words in why.text_en
