"""Makes the wide table of telemetry; its weekly partitions are made by `keep_partitions`.

Every bound has an upper end: `value >= 0` alone lets NaN and Infinity in.
"""

from django.db import migrations

FORWARD = """
CREATE TABLE monitoring_sample (
    pool_id bigint NOT NULL REFERENCES monitoring_pool (id),
    measured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    capacity double precision NOT NULL
        CONSTRAINT sample_capacity_sane CHECK (capacity >= 0 AND capacity <= 1e9),
    allocated double precision NOT NULL
        CONSTRAINT sample_allocated_sane CHECK (allocated >= 0 AND allocated <= 1e9),
    queued double precision NOT NULL
        CONSTRAINT sample_queued_sane CHECK (queued >= 0 AND queued <= 1e9),
    unavailable double precision
        CONSTRAINT sample_unavailable_sane CHECK (unavailable >= 0 AND unavailable <= 1e9),
    power_kw double precision
        CONSTRAINT sample_power_sane CHECK (power_kw >= 0 AND power_kw <= 1e9),
    price_per_unit_h double precision
        CONSTRAINT sample_price_sane CHECK (price_per_unit_h >= -1e9 AND price_per_unit_h <= 1e9),
    carbon_g_per_kwh double precision
        CONSTRAINT sample_carbon_sane CHECK (carbon_g_per_kwh >= 0 AND carbon_g_per_kwh <= 1e9),
    source text NOT NULL,
    quality text NOT NULL CONSTRAINT sample_quality_known
        CHECK (quality IN ('good', 'stale', 'suspect', 'substituted', 'invalid')),
    quality_rule text NOT NULL,
    PRIMARY KEY (pool_id, measured_at)
) PARTITION BY RANGE (measured_at);
"""
BACKWARD = "DROP TABLE monitoring_sample;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0001_inventory_and_telemetry")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
