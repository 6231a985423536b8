"""The database refuses what the code refuses, whatever way a change comes in."""

from itertools import product

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from scheduling.domain import lifecycle as lc
from scheduling.models import Move, RebalancingPlan

TABLES = {
    "scheduling_rebalancingplan": (lc.PLAN_TRANSITIONS, lc.PlanState),
    "scheduling_move": (lc.MOVE_TRANSITIONS, lc.MoveState),
    "scheduling_passage": (lc.PASSAGE_TRANSITIONS, lc.PassageState),
    "scheduling_dispatchcommand": (lc.COMMAND_TRANSITIONS, lc.CommandState),
}


@pytest.mark.django_db
@pytest.mark.parametrize("table", TABLES)
def test_triggers_hold_exactly_the_steps_of_the_life_cycle(table):
    transitions, states = TABLES[table]
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [f"{table}_legal_step"])
        source = cursor.fetchone()[0]

    allowed = {
        (old, new) for old, new in product(states, states) if f"('{old}', '{new}')" in source
    }

    assert allowed == {(old, new) for (old, _), new in transitions.items()}


def test_a_plan_cannot_be_pushed_past_consent_by_sql(grid):
    plan = grid.draft()

    for state in ("APPROVED", "DISPATCHING", "COMPLETED"):
        with pytest.raises(IntegrityError), transaction.atomic():
            RebalancingPlan.objects.filter(pk=plan.pk).update(state=state)


def test_a_plan_cannot_be_born_approved(grid):
    plan = grid.draft()
    plan.pk, plan.state, plan.destination_region = None, "APPROVED", "CN-XX"

    with pytest.raises(IntegrityError), transaction.atomic():
        plan.save()


def test_a_move_must_go_somewhere(grid):
    move = Move.objects.get(plan=grid.draft())

    with pytest.raises(IntegrityError), transaction.atomic():
        Move.objects.filter(pk=move.pk).update(destination_pool=move.source_pool)


def test_the_audit_chain_cannot_be_changed_removed_or_emptied(grid):
    for statement in (
        "UPDATE gridauth_auditentry SET actor = 'nobody'",
        "DELETE FROM gridauth_auditentry",
        "TRUNCATE gridauth_auditentry",
    ):
        with (
            pytest.raises(ProgrammingError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
