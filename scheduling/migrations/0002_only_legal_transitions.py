"""Makes the database refuse every change of state that the life cycles do not have."""

from django.db import migrations

# one row per legal step; `tests/integration/scheduling` holds this against domain/lifecycle.py
STEPS = {
    "scheduling_rebalancingplan": [
        ("DRAFT", "PROPOSED"),
        ("DRAFT", "SUPERSEDED"),
        ("DRAFT", "EXPIRED"),
        ("PROPOSED", "APPROVED"),
        ("PROPOSED", "REJECTED"),
        ("PROPOSED", "EXPIRED"),
        ("PROPOSED", "SUPERSEDED"),
        ("PROPOSED", "CANCELLED"),
        ("APPROVED", "DISPATCHING"),
        ("APPROVED", "SUPERSEDED"),
        ("APPROVED", "CANCELLED"),
        ("APPROVED", "EXPIRED"),
        ("DISPATCHING", "COMPLETED"),
        ("DISPATCHING", "PARTIAL"),
        ("DISPATCHING", "FAILED"),
        ("COMPLETED", "SETTLED"),
        ("PARTIAL", "SETTLED"),
    ],
    "scheduling_move": [
        ("PENDING", "IN_FLIGHT"),
        ("PENDING", "SKIPPED"),
        ("IN_FLIGHT", "DONE"),
        ("IN_FLIGHT", "FAILED"),
        ("IN_FLIGHT", "SKIPPED"),
        ("DONE", "REVERTED"),
    ],
    "scheduling_passage": [
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
    ],
    "scheduling_dispatchcommand": [
        ("PENDING", "SENT"),
        ("SENT", "CONFIRMED"),
        ("SENT", "REFUSED"),
        ("SENT", "UNKNOWN"),
        ("UNKNOWN", "CONFIRMED"),
        ("UNKNOWN", "REFUSED"),
        ("UNKNOWN", "PENDING"),
    ],
}
FIRST = {
    "scheduling_rebalancingplan": "DRAFT",
    "scheduling_move": "PENDING",
    "scheduling_passage": "BOUND",
    "scheduling_dispatchcommand": "PENDING",
}


def _forward(table: str) -> str:
    steps = ", ".join(f"('{old}', '{new}')" for old, new in STEPS[table])
    return f"""
CREATE FUNCTION {table}_legal_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> '{FIRST[table]}' THEN
            RAISE EXCEPTION '{table}: a new row begins as {FIRST[table]}, not as %', NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN ({steps}) THEN
        RAISE EXCEPTION '{table}: no step from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER {table}_legal_step BEFORE INSERT OR UPDATE OF state ON {table}
    FOR EACH ROW EXECUTE FUNCTION {table}_legal_step();
"""


def _backward(table: str) -> str:
    return f"""
DROP TRIGGER {table}_legal_step ON {table};
DROP FUNCTION {table}_legal_step();
"""


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0001_workloads_plans_and_dispatch")]
    operations = [migrations.RunSQL(_forward(table), _backward(table)) for table in STEPS]
