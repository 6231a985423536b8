"""Lets the database take the steps of a service's passage: it starts elsewhere, or it does not."""

from django.db import migrations

BEFORE = [
    ("BOUND", "WITHDRAWING"),
    ("BOUND", "SKIPPED"),
    ("WITHDRAWING", "SUBMITTING"),
    ("WITHDRAWING", "SKIPPED"),
    ("SUBMITTING", "PLACED"),
    ("SUBMITTING", "RELEASING"),
    ("RELEASING", "RETURNED"),
    ("RELEASING", "NEEDS_HUMAN"),
    ("PLACED", "RUNNING"),
    ("PLACED", "FINISHED"),
    ("RUNNING", "FINISHED"),
]
AFTER = [*BEFORE, ("BOUND", "SUBMITTING"), ("SUBMITTING", "SKIPPED")]


def _function(steps: list[tuple[str, str]]) -> str:
    allowed = ", ".join(f"('{old}', '{new}')" for old, new in steps)
    return f"""
CREATE OR REPLACE FUNCTION scheduling_passage_legal_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'BOUND' THEN
            RAISE EXCEPTION 'scheduling_passage: a new row begins as BOUND, not as %', NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN ({allowed}) THEN
        RAISE EXCEPTION 'scheduling_passage: no step from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0005_services_running_work_and_fair_shares")]
    operations = [migrations.RunSQL(_function(AFTER), _function(BEFORE))]
