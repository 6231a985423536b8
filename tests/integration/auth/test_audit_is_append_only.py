"""The database refuses to change the record, whoever asks."""

import pytest
from django.db import ProgrammingError, connection, transaction

from controlplane.auth import audit
from controlplane.auth.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry():
    return audit.record("operator", "do-something", "thing:1", {"units": 7})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gridauth_auditentry SET actor = 'somebody else'",
        "DELETE FROM gridauth_auditentry",
        "TRUNCATE gridauth_auditentry",
    ],
)
def test_the_record_cannot_be_changed_removed_or_emptied(entry, statement):
    with (
        pytest.raises(ProgrammingError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    kept = AuditEntry.objects.get()
    assert (kept.actor, kept.entry_hash) == ("operator", entry.entry_hash)
