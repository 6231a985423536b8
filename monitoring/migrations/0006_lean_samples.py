"""Makes a stored sample cheaper: codes instead of texts, and no check of its pool row by row.

Every sample's pool has a state, written in the same transaction, and the state refers to the pool:
a pool with samples can be deleted no more than before. Hours lean on it in the same way.
"""

import django.db.models.deletion
from django.db import migrations, models

_LISTS = {
    "source": ("provider", "history", "sender"),
    "quality": ("good", "stale", "suspect", "substituted", "invalid"),
    "quality_rule": (
        "",
        "allocated-above-capacity",
        "over-claim",
        "partial-tick",
        "carried-forward",
    ),
}


def _array(texts: tuple[str, ...]) -> str:
    return "ARRAY[{}]".format(", ".join(f"'{text}'" for text in texts))


FORWARD = (
    "ALTER TABLE monitoring_sample DROP CONSTRAINT monitoring_sample_pool_id_fkey,"
    " DROP CONSTRAINT sample_quality_known,"
    + ",".join(
        f" ALTER COLUMN {column} TYPE smallint USING array_position({_array(texts)}, {column}) - 1"
        for column, texts in _LISTS.items()
    )
    + ", ADD CONSTRAINT sample_codes_known"
    " CHECK (source BETWEEN 0 AND 99 AND quality BETWEEN 0 AND 4 AND quality_rule BETWEEN 0 AND 99)"
)
BACKWARD = (
    "ALTER TABLE monitoring_sample DROP CONSTRAINT sample_codes_known,"
    + ",".join(
        f" ALTER COLUMN {column} TYPE text USING ({_array(texts)})[{column} + 1]"
        for column, texts in _LISTS.items()
    )
    + ", ADD CONSTRAINT sample_quality_known CHECK (quality IN "
    "('good', 'stale', 'suspect', 'substituted', 'invalid')),"
    " ADD CONSTRAINT monitoring_sample_pool_id_fkey"
    " FOREIGN KEY (pool_id) REFERENCES monitoring_pool (id)"
)
# An update stays on its page, and out of the indexes, where the page has room.
ROOM = """
ALTER TABLE monitoring_poolstate SET (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE monitoring_poolhour SET (fillfactor = 45);
"""
NO_ROOM = """
ALTER TABLE monitoring_poolstate RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE monitoring_poolhour RESET (fillfactor);
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0005_alert_rules_and_webhooks")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.AlterField(
            "poolhour",
            "pool",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                to="monitoring.pool",
            ),
        ),
        migrations.RunSQL(ROOM, NO_ROOM),
    ]
