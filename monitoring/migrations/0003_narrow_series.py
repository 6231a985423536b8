"""Makes the mapping rules of standard senders, their series, and the narrow table of points.

The points' weekly partitions are made by `keep_partitions`, as those of samples are. A value may be
NaN or infinite: senders send both, and no sum is made over this table without looking.
"""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TABLE monitoring_point (
    series_id bigint NOT NULL REFERENCES monitoring_series (id) ON DELETE CASCADE,
    measured_at timestamptz NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (series_id, measured_at)
) PARTITION BY RANGE (measured_at);
"""
BACKWARD = "DROP TABLE monitoring_point;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0002_partitioned_samples")]

    operations = [
        migrations.CreateModel(
            name="MappingSet",
            fields=[
                (
                    "provider",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="mapping",
                        serialize=False,
                        to="monitoring.provider",
                    ),
                ),
                ("rules", models.JSONField(default=list)),
                (
                    "tick_s",
                    models.FloatField(default=60.0, help_text="points of one tick make one row"),
                ),
                ("series_limit", models.IntegerField(default=10000)),
                ("version", models.IntegerField(default=1)),
                ("changed_at", models.DateTimeField()),
                ("changed_by", models.TextField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("tick_s__gte", 1),
                            ("tick_s__lte", 3600),
                            ("series_limit__gte", 0),
                            ("series_limit__lte", 1000000),
                        ),
                        name="mapping_limits_sane",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Series",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.UUIDField(help_text="hash of the labels")),
                ("labels", models.JSONField()),
                ("first_seen_at", models.DateTimeField()),
                (
                    "rule",
                    models.TextField(
                        blank=True, default="", help_text="the mapping rule that takes it"
                    ),
                ),
                (
                    "pool",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="series",
                        to="monitoring.pool",
                    ),
                ),
                (
                    "provider",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="monitoring.provider",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("provider", "key"), name="series_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Point",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "series_id",
                        "measured_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("measured_at", models.DateTimeField()),
                ("value", models.FloatField()),
            ],
            options={"db_table": "monitoring_point", "managed": False},
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
