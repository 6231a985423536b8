"""Makes the packed days: the hours of a shelf of pools on a past day in one row."""

import django.db.models.deletion
from django.db import migrations, models

_COLUMNS = (
    *("samples", "good_samples", "power_samples", "price_samples", "carbon_samples"),
    *("capacity_sum", "allocated_sum", "queued_sum", "power_kw_sum", "price_sum", "carbon_sum"),
    "demand_max",
)
# Kept beside the row as they are: a reader takes in only the columns that it asks for.
FORWARD = "ALTER TABLE monitoring_packedday " + ", ".join(
    f"ALTER COLUMN {column} SET STORAGE EXTERNAL" for column in ("pools", *_COLUMNS)
)


def _key(*parts: str) -> models.CompositePrimaryKey:
    return models.CompositePrimaryKey(
        *parts, blank=True, editable=False, primary_key=True, serialize=False
    )


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0008_watch")]
    operations = [
        migrations.CreateModel(
            name="PackedDay",
            fields=[
                ("pk", _key("day_at", "shelf")),
                ("day_at", models.DateTimeField()),
                ("shelf", models.BigIntegerField()),
                ("pools", models.BinaryField()),
                *((column, models.BinaryField()) for column in _COLUMNS),
            ],
        ),
        migrations.CreateModel(
            name="OutdatedDay",
            fields=[
                ("pk", _key("day_at", "pool_id")),
                ("day_at", models.DateTimeField()),
                (
                    "pool",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="monitoring.pool",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(FORWARD, migrations.RunSQL.noop),
    ]
