"""Adds services, running work that moves, accelerators, fair shares and the memory of plans."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0010_pool_shelves"),
        ("scheduling", "0004_limits_and_what_ifs"),
    ]

    operations = [
        migrations.CreateModel(
            name="AcceleratorRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("author", models.TextField()),
                ("changed_at", models.DateTimeField()),
                ("version", models.IntegerField(default=1)),
                (
                    "request_key",
                    models.TextField(
                        help_text="Idempotency-Key of the request that made it",
                        null=True,
                        unique=True,
                    ),
                ),
                ("accelerator", models.TextField()),
            ],
            options={
                "db_table": "scheduling_accelerator",
            },
        ),
        migrations.CreateModel(
            name="FairShareRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("author", models.TextField()),
                ("changed_at", models.DateTimeField()),
                ("version", models.IntegerField(default=1)),
                (
                    "request_key",
                    models.TextField(
                        help_text="Idempotency-Key of the request that made it",
                        null=True,
                        unique=True,
                    ),
                ),
                ("tenant", models.TextField(blank=True, default="")),
                ("weight", models.FloatField()),
            ],
            options={
                "db_table": "scheduling_fair_share",
            },
        ),
        migrations.CreateModel(
            name="Service",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("provider_code", models.TextField()),
                ("external_id", models.TextField()),
                ("tenant", models.TextField()),
                (
                    "data_class",
                    models.TextField(
                        choices=[
                            ("open", "open"),
                            ("internal", "internal"),
                            ("restricted", "restricted"),
                        ]
                    ),
                ),
                ("requirement", models.TextField(blank=True, default="")),
                ("users", models.JSONField()),
                ("spec", models.JSONField(default=dict)),
                ("is_running", models.BooleanField()),
                ("updated_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SpeedRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("author", models.TextField()),
                ("changed_at", models.DateTimeField()),
                ("version", models.IntegerField(default=1)),
                (
                    "request_key",
                    models.TextField(
                        help_text="Idempotency-Key of the request that made it",
                        null=True,
                        unique=True,
                    ),
                ),
                ("requirement", models.TextField()),
                ("accelerator", models.TextField()),
                ("factor", models.FloatField()),
            ],
            options={
                "db_table": "scheduling_speed",
            },
        ),
        migrations.AddField(
            model_name="dispatchcommand",
            name="order",
            field=models.JSONField(
                default=dict,
                help_text="of SUBMIT: the job as it is sent, the same at every attempt",
            ),
        ),
        migrations.AddField(
            model_name="move",
            name="work",
            field=models.TextField(
                choices=[("WAITING", "WAITING"), ("RUNNING", "RUNNING"), ("SERVICE", "SERVICE")],
                default="WAITING",
            ),
        ),
        migrations.AddField(
            model_name="passage",
            name="done_s",
            field=models.FloatField(
                default=0.0,
                help_text="work that a checkpoint kept: not done again at the destination",
            ),
        ),
        migrations.AddField(
            model_name="planningrun",
            name="memory",
            field=models.BinaryField(
                help_text="what the next solve may begin with; losing it costs time only", null=True
            ),
        ),
        migrations.AddField(
            model_name="weightset",
            name="fairness_usd_per_unit_h",
            field=models.FloatField(default=0.0),
        ),
        migrations.AddField(
            model_name="weightset",
            name="latency_usd_per_unit_h_ms",
            field=models.FloatField(default=0.0),
        ),
        migrations.AddField(
            model_name="workload",
            name="checkpoint_every_s",
            field=models.FloatField(
                help_text="most work that is lost when it is stopped; null: not known", null=True
            ),
        ),
        migrations.AddField(
            model_name="workload",
            name="members",
            field=models.IntegerField(
                default=1,
                help_text="of a gang: how many start together or not at all; units are of all",
            ),
        ),
        migrations.AddField(
            model_name="workload",
            name="requirement",
            field=models.TextField(
                blank=True, default="", help_text="what it asks of an accelerator; empty: any"
            ),
        ),
        migrations.AlterField(
            model_name="dispatchcommand",
            name="kind",
            field=models.TextField(
                choices=[
                    ("WITHDRAW", "take a waiting job out of the source's queue"),
                    ("CHECKPOINT", "stop a running job at its last checkpoint and take it out"),
                    ("SUBMIT", "queue the job at the destination"),
                    ("RELEASE", "put the job back into the source's queue"),
                ]
            ),
        ),
        migrations.AddConstraint(
            model_name="workload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("members__gte", 1),
                    ("members__lte", models.F("units")),
                    models.Q(
                        ("checkpoint_every_s__isnull", True),
                        models.Q(
                            ("checkpoint_every_s__gt", 0), ("checkpoint_every_s__lte", 1000000000.0)
                        ),
                        _connector="OR",
                    ),
                ),
                name="workload_gang_and_checkpoints_sane",
            ),
        ),
        migrations.AddField(
            model_name="acceleratorrow",
            name="pool",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="monitoring.pool"
            ),
        ),
        migrations.AddField(
            model_name="fairsharerow",
            name="region",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="monitoring.region",
            ),
        ),
        migrations.AddField(
            model_name="service",
            name="pool",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="monitoring.pool"
            ),
        ),
        migrations.AddConstraint(
            model_name="speedrow",
            constraint=models.UniqueConstraint(
                fields=("requirement", "accelerator"), name="speed_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="speedrow",
            constraint=models.CheckConstraint(
                condition=models.Q(("factor", 0), ("factor__range", (0.01, 100)), _connector="OR"),
                name="speed_sane",
            ),
        ),
        migrations.AddConstraint(
            model_name="fairsharerow",
            constraint=models.UniqueConstraint(
                fields=("tenant", "region"), name="fair_share_once", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="fairsharerow",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("tenant", ""), ("region__isnull", False)),
                    models.Q(models.Q(("tenant", ""), _negated=True), ("region__isnull", True)),
                    _connector="OR",
                ),
                name="fair_share_of_a_tenant_or_a_region",
            ),
        ),
        migrations.AddConstraint(
            model_name="fairsharerow",
            constraint=models.CheckConstraint(
                condition=models.Q(("weight__range", (0.001, 1000))), name="fair_share_sane"
            ),
        ),
        migrations.AddConstraint(
            model_name="service",
            constraint=models.UniqueConstraint(
                fields=("provider_code", "external_id"), name="service_once_per_provider"
            ),
        ),
    ]
