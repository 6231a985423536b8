import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


# A check over arrays: as many hours in each, none unknown, none below zero, none crossing.
SOUND_PATH = """
CREATE FUNCTION forecasting_path_is_sound(
    a double precision[], b double precision[], c double precision[],
    d double precision[], e double precision[]
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT cardinality(a) BETWEEN 1 AND 168
       AND cardinality(b) = cardinality(a) AND cardinality(c) = cardinality(a)
       AND cardinality(d) = cardinality(a) AND cardinality(e) = cardinality(a)
       AND coalesce((
           SELECT bool_and(coalesce(v.a >= 0 AND v.b >= v.a AND v.c >= v.b AND v.d >= v.c
                                    AND v.e >= v.d AND v.e <= 1e12, false))
           FROM unnest(a, b, c, d, e) AS v(a, b, c, d, e)
       ), false)
$$;
ALTER TABLE forecasting_forecastpath ADD CONSTRAINT forecastpath_quantiles_do_not_cross
    CHECK (forecasting_path_is_sound(q05, q10, q50, q90, q95));
"""
SOUND_PATH_BACK = """
ALTER TABLE forecasting_forecastpath DROP CONSTRAINT forecastpath_quantiles_do_not_cross;
DROP FUNCTION forecasting_path_is_sound;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("forecasting", "0001_models_runs_and_points"),
    ]

    operations = [
        migrations.CreateModel(
            name="DemandDeclaration",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "provider_code",
                    models.TextField(
                        blank=True,
                        default="",
                        help_text="whose key announced it; empty when a person did",
                    ),
                ),
                (
                    "external_id",
                    models.TextField(blank=True, default="", help_text="the announcer's own name"),
                ),
                (
                    "scope",
                    models.TextField(
                        choices=[("pool", "pool"), ("region", "region")],
                        help_text="a region's is not placed yet: it will land on some pool there",
                    ),
                ),
                ("code", models.TextField(help_text="of the pool or region")),
                (
                    "kind",
                    models.TextField(choices=[("job", "job"), ("reservation", "reservation")]),
                ),
                ("units", models.FloatField()),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("probability", models.FloatField()),
                ("note", models.TextField(blank=True, default="")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("ANNOUNCED", "ANNOUNCED"),
                            ("ARRIVED", "ARRIVED"),
                            ("WITHDRAWN", "WITHDRAWN"),
                            ("LAPSED", "LAPSED"),
                            ("OVER", "OVER"),
                        ],
                        default="ANNOUNCED",
                    ),
                ),
                ("seen_units", models.FloatField(default=0.0)),
                ("state_at", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("created_by", models.TextField()),
                ("version", models.IntegerField(default=1)),
                (
                    "request_key",
                    models.TextField(
                        help_text="who asked, and the Idempotency-Key", null=True, unique=True
                    ),
                ),
                ("request_hash", models.TextField(blank=True, default="")),
            ],
        ),
        migrations.CreateModel(
            name="ForecastPath",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "scope",
                    models.TextField(
                        choices=[
                            ("pool", "pool"),
                            ("site", "site"),
                            ("region", "region"),
                            ("grid", "grid"),
                            ("price", "price"),
                            ("carbon", "carbon"),
                        ]
                    ),
                ),
                (
                    "code",
                    models.TextField(
                        help_text="pool, site, region or zone code; `grid` for the grid"
                    ),
                ),
                (
                    "q05",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(), size=None
                    ),
                ),
                (
                    "q10",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(), size=None
                    ),
                ),
                (
                    "q50",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(), size=None
                    ),
                ),
                (
                    "q90",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(), size=None
                    ),
                ),
                (
                    "q95",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(), size=None
                    ),
                ),
                (
                    "declared",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(),
                        help_text="expected units by announced demand, within",
                        null=True,
                        size=None,
                    ),
                ),
                ("method", models.TextField(help_text="model, seasonal-naive or last-value")),
                ("fallback_reason", models.TextField(blank=True, default="")),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="forecastmodel",
            name="forecastmodel_one_champion",
        ),
        migrations.AddField(
            model_name="forecastmodel",
            name="code_version",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="forecastmodel",
            name="target",
            field=models.TextField(
                choices=[("demand", "demand"), ("price", "price"), ("carbon", "carbon")],
                default="demand",
            ),
        ),
        migrations.AddField(
            model_name="forecastmodel",
            name="trigger",
            field=models.TextField(
                default="schedule", help_text="first, schedule or signs of drift"
            ),
        ),
        migrations.AddField(
            model_name="forecastrun",
            name="declared",
            field=models.JSONField(default=list, help_text="announced demand that was merged"),
        ),
        migrations.AddField(
            model_name="forecastrun",
            name="drift",
            field=models.JSONField(default=dict, help_text="what the watch over the model found"),
        ),
        migrations.AddField(
            model_name="forecastrun",
            name="horizon_h",
            field=models.IntegerField(default=24, help_text="leads 1 to this, in hours"),
        ),
        migrations.AddField(
            model_name="forecastrun",
            name="steps",
            field=models.JSONField(default=list, help_text="how it was made, step by step"),
        ),
        migrations.AddField(
            model_name="forecastrun",
            name="trained_from",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="forecastrun",
            name="model_name",
            field=models.TextField(help_text="the forecaster that made most of the series"),
        ),
        migrations.AddConstraint(
            model_name="forecastmodel",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_champion", True)),
                fields=("target",),
                name="forecastmodel_one_champion_each",
            ),
        ),
        migrations.AddConstraint(
            model_name="forecastrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("horizon_h__gte", 1), ("horizon_h__lte", 168)),
                name="forecastrun_horizon_sane",
            ),
        ),
        migrations.AddIndex(
            model_name="demanddeclaration",
            index=models.Index(fields=["state", "starts_at"], name="declaration_by_state"),
        ),
        migrations.AddConstraint(
            model_name="demanddeclaration",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("units__gt", 0),
                    ("units__lte", 1000000000.0),
                    ("probability__gt", 0),
                    ("probability__lte", 1),
                    ("ends_at__gt", models.F("starts_at")),
                    ("seen_units__gte", 0),
                ),
                name="declaration_sane",
            ),
        ),
        migrations.AddConstraint(
            model_name="demanddeclaration",
            constraint=models.UniqueConstraint(
                condition=models.Q(("external_id", ""), _negated=True),
                fields=("provider_code", "external_id"),
                name="declaration_once_per_name",
            ),
        ),
        migrations.AddField(
            model_name="forecastpath",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="paths",
                to="forecasting.forecastrun",
            ),
        ),
        migrations.AddConstraint(
            model_name="forecastpath",
            constraint=models.UniqueConstraint(
                fields=("run", "scope", "code"), name="forecastpath_once"
            ),
        ),
        migrations.RunSQL(sql=SOUND_PATH, reverse_sql=SOUND_PATH_BACK),
    ]
