from django.db import migrations

# One row per run and series, its hours in order; then the rows per hour are gone.
POINTS_TO_PATHS = """
INSERT INTO forecasting_forecastpath
    (run_id, scope, code, q05, q10, q50, q90, q95, method, fallback_reason)
SELECT run_id, scope, code,
       array_agg(q05 ORDER BY valid_at), array_agg(q10 ORDER BY valid_at),
       array_agg(q50 ORDER BY valid_at), array_agg(q90 ORDER BY valid_at),
       array_agg(q95 ORDER BY valid_at), min(method), min(fallback_reason)
FROM forecasting_forecastpoint
GROUP BY run_id, scope, code
"""


class Migration(migrations.Migration):
    dependencies = [
        ("forecasting", "0002_paths_and_announced_demand"),
    ]

    operations = [
        migrations.RunSQL(sql=POINTS_TO_PATHS, reverse_sql=migrations.RunSQL.noop),
        migrations.DeleteModel(name="ForecastPoint"),
    ]
