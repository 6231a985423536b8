"""What a running grid has stored is there after its telemetry has moved onto shelves and blocks."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

PROJECT = Path(__file__).resolve().parents[2]
NAME = "moved_telemetry"
PLACES = """
INSERT INTO monitoring_region (code, name_zh, name_en, lat, lon, jurisdiction, carbon_basis)
VALUES ('R', 'r', 'r', 1, 1, 'CN', '');
INSERT INTO monitoring_provider (code, name_zh, name_en) VALUES ('a', 'a', 'a'), ('b', 'b', 'b');
INSERT INTO monitoring_site (code, name_zh, name_en, lat, lon, is_hub, hub_zh, hub_en, pue,
                             energy_zone, provider_id, region_id)
SELECT 's' || code, 's', 's', 1, 1, false, '', '', 1.2, '', code, 'R' FROM monitoring_provider;
INSERT INTO monitoring_pool (code, site_id, unit, installed, contract, reserve, kw_per_unit,
                             stale_after_s, engine, engine_url)
SELECT provider || number, 's' || provider, 'gpu', 10, 10, 0, 1, 900, 'simulated', ''
  FROM (VALUES ('a', 100), ('b', 3)) AS size (provider, pools), generate_series(1, pools) AS number
"""
WEEKS = """
CREATE TABLE monitoring_sample_20260105 PARTITION OF monitoring_sample
    FOR VALUES FROM ('2026-01-05 00:00+00') TO ('2026-01-12 00:00+00');
CREATE TABLE monitoring_sample_20260112 PARTITION OF monitoring_sample
    FOR VALUES FROM ('2026-01-12 00:00+00') TO ('2026-01-19 00:00+00')
"""
# some ticks are missing, some came later than others, every tenth pool has never reported
REPORTED = """
INSERT INTO monitoring_sample (pool_id, measured_at, received_at, capacity, allocated, queued,
                               power_kw, price_per_unit_h, source, quality, quality_rule)
SELECT p.id, tick, tick + (p.id % 3) * interval '1.000001 s', 100 + p.id,
       (p.id * 37 + n * 11) % 101 / 7.0, '-0'::float8,
       CASE WHEN p.id % 2 = 0 THEN n / 3.0 END, -0.03125, p.id % 3, (p.id % 2) * 2, p.id % 7
  FROM monitoring_pool p,
       generate_series('2026-01-11 23:10:00.123456+00'::timestamptz, '2026-01-12 02:00+00', '5 min')
       WITH ORDINALITY AS ticks (tick, n)
 WHERE (p.id + n) % 9 <> 0 AND p.id % 10 <> 7;
INSERT INTO monitoring_poolstate (pool_id, measured_at, received_at, capacity, allocated, queued,
                                  unavailable, power_kw, price_per_unit_h, carbon_g_per_kwh,
                                  quality, quality_rule)
SELECT DISTINCT ON (pool_id) pool_id, measured_at, received_at, capacity, allocated, queued,
       unavailable, power_kw, price_per_unit_h, carbon_g_per_kwh,
       (ARRAY['good', 'stale', 'suspect'])[quality + 1],
       (ARRAY['', 'allocated-above-capacity', 'over-claim', 'partial-tick', 'carried-forward',
              'unit-jump', 'not-a-count'])[quality_rule + 1]
  FROM monitoring_sample ORDER BY pool_id, measured_at DESC;
INSERT INTO monitoring_poolhour (pool_id, hour_at, samples, good_samples, capacity_sum,
                                 allocated_sum, queued_sum, demand_max, power_kw_sum, power_samples,
                                 price_sum, price_samples, carbon_sum, carbon_samples)
SELECT pool_id, date_trunc('hour', measured_at), count(*), count(*) FILTER (WHERE quality = 0),
       sum(capacity), sum(allocated), sum(queued), max(allocated), coalesce(sum(power_kw), 0),
       count(power_kw), sum(price_per_unit_h), count(*), 0, 0
  FROM monitoring_sample GROUP BY 1, 2
"""
SAMPLES = """
SELECT pool_id, measured_at, received_at, source, capacity, allocated, queued, unavailable,
       power_kw, price_per_unit_h, carbon_g_per_kwh, quality, quality_rule
  FROM monitoring_sample ORDER BY 1, 2
"""
HOURS = """
SELECT pool_id, hour_at, samples, good_samples, capacity_sum, allocated_sum, queued_sum, demand_max,
       power_kw_sum, power_samples, price_sum, price_samples, carbon_sum, carbon_samples
  FROM monitoring_poolhour ORDER BY 1, 2
"""
STATES = """
SELECT pool_id, measured_at, received_at, capacity, allocated, queued, unavailable, power_kw,
       price_per_unit_h, carbon_g_per_kwh FROM monitoring_poolstate ORDER BY 1
"""
# as texts before, as positions in lists of texts after
CODES = {
    "before": "SELECT pool_id, quality, quality_rule FROM monitoring_poolstate ORDER BY 1",
    "after": """
        SELECT pool_id, (ARRAY['good', 'stale', 'suspect'])[quality + 1],
               (ARRAY['', 'allocated-above-capacity', 'over-claim', 'partial-tick',
                      'carried-forward', 'unit-jump', 'not-a-count'])[quality_rule + 1]
          FROM monitoring_poolstate ORDER BY 1
    """,
}


@pytest.fixture
def url():
    """An empty database beside the tests' own."""
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(f"DROP DATABASE IF EXISTS {NAME}")
        session.execute(f"CREATE DATABASE {NAME}")
    yield server.rpartition("/")[0] + f"/{NAME}"
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def migrate(url, *target):
    subprocess.run(
        [sys.executable, "manage.py", "migrate", *target, "--noinput", "--skip-checks"],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": url, "TIAODU_DEMO": "1"},
        check=True,
        capture_output=True,
    )


def everything(session, when):
    statements = (SAMPLES, HOURS, STATES, CODES[when])
    return [session.execute(statement).fetchall() for statement in statements]


def test_samples_states_and_hours_of_a_running_grid_are_kept(url):
    migrate(url, "monitoring", "0009")
    with psycopg.connect(url, autocommit=True) as session:
        for statement in (PLACES, WEEKS, REPORTED):
            session.execute(statement)
        before = everything(session, "before")

    migrate(url)

    with psycopg.connect(url, autocommit=True) as session:
        after = everything(session, "after")
        shelves = session.execute(
            "SELECT provider_id, used FROM monitoring_poolshelf ORDER BY shelf"
        ).fetchall()
    assert after == before
    assert len(before[0]) > 2000
    assert shelves == [("a", 48), ("a", 48), ("a", 4), ("b", 3)]
