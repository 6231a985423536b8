"""Who may decide what, when: the whole matrix on a real database."""

import contextlib
import datetime as dt
import threading

import pytest
from django.db import connection

from controlplane.auth.audit import verify
from controlplane.auth.models import AuditEntry
from controlplane.auth.permissions import NotAllowed
from controlplane.lib.errors import GridError, InvalidField
from monitoring.models import PoolState
from scheduling.domain.lifecycle import PlanState, TransitionNotAllowed
from scheduling.models import Approval, RebalancingPlan, WeightSet
from scheduling.services.consent import (
    AlreadyDecided,
    NoSeat,
    PlanChanged,
    PlanNotFound,
    PlanNotOpen,
    approve_plan,
    cancel_plan,
    expire_overdue,
    propose_plan,
    reject_plan,
)

NOW = dt.datetime(2023, 5, 26, 0, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def plan(grid):
    return grid.draft()


@pytest.fixture
def proposed(plan, people):
    return propose_plan(people["operator"], plan.pk, content_hash=plan.content_hash, now=NOW)


def approve(who, plan, now=NOW):
    return approve_plan(who, plan.pk, content_hash=plan.content_hash, now=now)


def state_of(plan):
    return PlanState(RebalancingPlan.objects.get(pk=plan.pk).state)


@pytest.mark.parametrize("name", ["admin_bj", "admin_nm", "auditor", "grid_admin", "provider"])
def test_only_operators_propose(plan, people, name):
    with pytest.raises(NotAllowed):
        propose_plan(people[name], plan.pk, content_hash=plan.content_hash, now=NOW)

    assert state_of(plan) is PlanState.DRAFT


def test_a_plan_is_approved_when_both_regions_and_another_operator_agree(proposed, people):
    for name, expected in (
        ("admin_bj", PlanState.PROPOSED),
        ("operator2", PlanState.PROPOSED),
        ("admin_nm", PlanState.APPROVED),
    ):
        approve(people[name], proposed)
        assert state_of(proposed) is expected


@pytest.mark.parametrize("name", ["operator", "outsider", "auditor", "grid_admin", "provider"])
def test_those_without_a_seat_are_refused_and_leave_no_trace(proposed, people, name):
    with pytest.raises(NoSeat):
        approve(people[name], proposed)
    with pytest.raises(NoSeat):
        reject_plan(
            people[name],
            proposed.pk,
            content_hash=proposed.content_hash,
            now=NOW,
            reason_code="other",
        )

    assert Approval.objects.count() == 0


def test_a_second_click_is_one_decision(proposed, people):
    approve(people["admin_nm"], proposed)

    with pytest.raises(AlreadyDecided):
        approve(people["admin_nm"], proposed)
    assert Approval.objects.count() == 1


def test_a_second_admin_of_the_same_region_fills_no_other_seat(proposed, people):
    approve(people["admin_nm"], proposed)

    with pytest.raises(AlreadyDecided):
        approve(people["second_nm"], proposed)


def test_one_rejection_ends_the_plan_with_its_reason(proposed, people):
    approve(people["admin_bj"], proposed)

    reject_plan(
        people["admin_nm"],
        proposed.pk,
        content_hash=proposed.content_hash,
        now=NOW,
        reason_code="maintenance",
        comment="cooling works",
    )

    assert state_of(proposed) is PlanState.REJECTED
    assert Approval.objects.get(decision="REJECT").comment == "cooling works"
    with pytest.raises(PlanNotOpen):
        approve(people["operator2"], proposed)


def test_an_unknown_reason_is_refused_by_name(proposed, people):
    with pytest.raises(InvalidField) as refusal:
        reject_plan(
            people["admin_nm"],
            proposed.pk,
            content_hash=proposed.content_hash,
            now=NOW,
            reason_code="because",
        )

    assert refusal.value.field == "reason_code"


def test_silence_is_no(proposed, people):
    approve(people["admin_bj"], proposed)
    approve(people["operator2"], proposed)

    assert expire_overdue(NOW + HOUR) == 1

    assert state_of(proposed) is PlanState.EXPIRED
    with pytest.raises(PlanNotOpen):
        approve(people["admin_nm"], proposed, now=NOW + HOUR)


def test_an_answer_after_the_last_time_is_too_late_even_before_any_loop_ran(proposed, people):
    with pytest.raises(PlanNotOpen):
        approve(people["admin_nm"], proposed, now=NOW + HOUR)

    assert state_of(proposed) is PlanState.EXPIRED


def test_an_approval_of_other_content_is_refused(proposed, people):
    with pytest.raises(PlanChanged):
        approve_plan(people["admin_nm"], proposed.pk, content_hash="0" * 64, now=NOW)


def test_approvals_of_older_content_are_void(proposed, people):
    approve(people["admin_bj"], proposed)
    approve(people["admin_nm"], proposed)
    RebalancingPlan.objects.filter(pk=proposed.pk).update(content_hash="f" * 64)
    proposed.content_hash = "f" * 64

    approve(people["operator2"], proposed)

    assert state_of(proposed) is PlanState.PROPOSED


def test_a_plan_whose_rules_changed_is_superseded_not_approved(proposed, people):
    WeightSet.objects.create(
        author="somebody",
        created_at=NOW,
        carbon_usd_per_t=500,
        delay_usd_per_unit_h=1,
        churn_usd_per_job=1,
        unmet_usd_per_unit_h=1,
        max_region_share=0.1,
        min_region_units=8,
    )

    with pytest.raises(PlanNotOpen):
        approve(people["admin_nm"], proposed)

    assert state_of(proposed) is PlanState.SUPERSEDED


@pytest.mark.parametrize(
    ("capacity", "expected"), [(62.0, PlanState.PROPOSED), (60.0, PlanState.SUPERSEDED)]
)
def test_a_plan_is_superseded_when_a_capacity_moved_by_more_than_five_percent(
    grid, proposed, people, capacity, expected
):
    PoolState.objects.filter(pool=grid.pools["nm"]).update(capacity=capacity)

    with contextlib.suppress(PlanNotOpen):
        approve(people["admin_nm"], proposed)

    assert state_of(proposed) is expected


def test_two_drafts_cannot_both_promise_the_same_workload(grid, people):
    jobs = [grid.workload(1)]
    first, second = grid.draft(workloads=jobs), grid.draft(destination="gz", workloads=jobs)
    propose_plan(people["operator"], first.pk, content_hash=first.content_hash, now=NOW)

    with pytest.raises(PlanNotOpen):
        propose_plan(people["operator"], second.pk, content_hash=second.content_hash, now=NOW)


def test_a_plan_can_be_taken_back_until_it_begins(proposed, people):
    cancel_plan(people["operator2"], proposed.pk, content_hash=proposed.content_hash, now=NOW)

    assert state_of(proposed) is PlanState.CANCELLED
    with pytest.raises(TransitionNotAllowed):
        cancel_plan(people["operator"], proposed.pk, content_hash=proposed.content_hash, now=NOW)


def test_a_plan_that_is_not_there_is_said_to_be_not_there(grid, people):
    with pytest.raises(PlanNotFound):
        approve_plan(people["admin_nm"], 4711, content_hash="x", now=NOW)


def test_every_decision_is_on_the_audit_chain(proposed, people):
    approve(people["admin_bj"], proposed)

    actions = list(
        AuditEntry.objects.filter(subject=f"plan:{proposed.pk}").values_list("actor", "action")
    )
    assert actions == [("operator", "propose-plan"), ("admin_bj", "decide-plan")]
    assert verify(AuditEntry.objects.order_by("sequence")).bad_sequence is None


@pytest.mark.django_db(transaction=True)
def test_two_admins_at_the_same_moment_give_one_decision(grid, people):
    plan = grid.draft()
    propose_plan(people["operator"], plan.pk, content_hash=plan.content_hash, now=NOW)
    results = []

    def decide(name):
        try:
            approve(people[name], plan)
            results.append("yes")
        except GridError as refusal:
            results.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(n,)) for n in ("admin_nm", "second_nm") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ["already-decided"] * 7 + ["yes"]
    assert Approval.objects.count() == 1
