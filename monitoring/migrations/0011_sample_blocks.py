"""Stores wide samples in blocks: the pools of one shelf at one moment in a row, packed narrowly.

The weekly partitions are made by `keep_partitions`. The view `monitoring_sample` shows single
samples to people and tools, who may also take some out; programs read whole blocks.
"""

from django.db import migrations, models

from monitoring.models import CodeField

FIGURES = (
    *("capacity", "allocated", "queued", "unavailable"),
    *("power_kw", "price_per_unit_h", "carbon_g_per_kwh"),
)
# what a record needs, by the letters of its columns' kinds: 1, 2, 4 and 8 bytes
FUNCTIONS = """
CREATE FUNCTION monitoring_width(kinds text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT length(translate(kinds, 'nz0123456789', ''))
         + length(translate(kinds, 'nzb0123456789', ''))
         + 2 * length(translate(kinds, 'nzbh0123456789', ''))
         + 4 * length(translate(kinds, 'nzbhi0123456789', ''))
$$;
CREATE FUNCTION monitoring_cell(kinds text, record bytea, number int) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    kind text := substr(kinds, 2 * number - 1, 1);
    scale int := substr(kinds, 2 * number, 1)::int;
    start int := 1 + monitoring_width(left(kinds, 2 * number - 2));
    lowest int;
    whole int;
BEGIN
    CASE kind
    WHEN 'n' THEN RETURN NULL;
    WHEN 'z' THEN RETURN 0;
    WHEN 'd' THEN
        RETURN nullif(
            monitoring_double(encode(substring(record FROM start FOR 8), 'hex')), 'NaN');
    WHEN 'b' THEN
        whole := get_byte(record, start - 1);
        lowest := 128;
    WHEN 'h' THEN
        whole := 256 * get_byte(record, start - 1) + get_byte(record, start);
        lowest := 32768;
    ELSE
        whole := ('x' || encode(substring(record FROM start FOR 4), 'hex'))::bit(32)::int;
        lowest := -2147483648;
    END CASE;
    IF whole = lowest THEN
        RETURN NULL;
    END IF;
    IF lowest > 0 AND whole > lowest THEN
        whole := whole - 2 * lowest;
    END IF;
    RETURN whole::float8 / (10::float8 ^ scale);
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION monitoring_cell(text, bytea, int);
DROP FUNCTION monitoring_width(text);
"""
BLOCKS = """
CREATE TABLE monitoring_sampleblock (
    shelf bigint NOT NULL,
    measured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    members bigint NOT NULL CHECK (members > 0),
    part smallint NOT NULL,
    source smallint NOT NULL CHECK (source BETWEEN 0 AND 99),
    kinds text NOT NULL CHECK (kinds ~ '^([nzbhid][0-9]){9}$'),
    "values" bytea NOT NULL,
    PRIMARY KEY (shelf, measured_at, part),
    CONSTRAINT block_holds_its_members CHECK (
        octet_length("values") = monitoring_width(kinds) * bit_count(members::bit(64)))
) PARTITION BY RANGE (measured_at);
-- not among the columns: PostgreSQL 15 does not know it there
ALTER TABLE monitoring_sampleblock ALTER COLUMN "values" SET STORAGE PLAIN;
"""
_CELLS = ",\n       ".join(
    f"monitoring_cell(b.kinds, r.record, {number}) AS {name}"
    for number, name in enumerate(FIGURES, start=1)
)
VIEW = f"""
CREATE VIEW monitoring_sample AS
SELECT p.pool_id, b.measured_at, b.source, b.received_at,
       {_CELLS},
       monitoring_cell(b.kinds, r.record, 8)::int2 AS quality,
       monitoring_cell(b.kinds, r.record, 9)::int2 AS quality_rule
  FROM monitoring_sampleblock b
  JOIN monitoring_poolslot p ON p.shelf_id = b.shelf AND (b.members >> p.slot) & 1 = 1
 CROSS JOIN LATERAL (
       SELECT substring(
           b."values"
           FROM 1 + monitoring_width(b.kinds)
                * bit_count((b.members & ((1::bigint << p.slot) - 1))::bit(64))::int
           FOR monitoring_width(b.kinds)) AS record) AS r;
CREATE FUNCTION monitoring_drop_sample() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    place smallint;
    width int;
BEGIN
    SELECT slot INTO place FROM monitoring_poolslot WHERE pool_id = OLD.pool_id;
    DELETE FROM monitoring_sampleblock b USING monitoring_poolslot p
     WHERE p.pool_id = OLD.pool_id AND b.shelf = p.shelf_id AND b.measured_at = OLD.measured_at
       AND b.members = 1::bigint << place;
    UPDATE monitoring_sampleblock b
       SET members = b.members & ~(1::bigint << place),
           "values" = substring(b."values" FROM 1 FOR monitoring_width(b.kinds) * cut.rank)
                      || substring(b."values" FROM monitoring_width(b.kinds) * (cut.rank + 1) + 1)
      FROM monitoring_poolslot p, monitoring_sampleblock same
     CROSS JOIN LATERAL (
           SELECT bit_count((same.members & ((1::bigint << place) - 1))::bit(64))::int AS rank
           ) AS cut
     WHERE p.pool_id = OLD.pool_id AND b.shelf = p.shelf_id AND b.measured_at = OLD.measured_at
       AND (b.members >> place) & 1 = 1
       AND same.shelf = b.shelf AND same.measured_at = b.measured_at AND same.part = b.part;
    RETURN OLD;
END $$;
CREATE TRIGGER monitoring_sample_dropped INSTEAD OF DELETE ON monitoring_sample
    FOR EACH ROW EXECUTE FUNCTION monitoring_drop_sample();
"""
# Each statement of a function sees what was committed before it began, so the hours are read as they
# are once the lock is there.
LOCK = """
CREATE FUNCTION monitoring_lock_shelves(
    shelves bigint[], hour_shelf bigint[], hour_at timestamptz[])
RETURNS TABLE (place int, run bytea) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- in order, so that no two wait for each other in a circle
    RETURN QUERY
    SELECT array_position(shelves, s.shelf) - 1, s.states
      FROM (SELECT f.shelf, f.states FROM monitoring_poolshelf f
             WHERE f.shelf = ANY(shelves) ORDER BY f.shelf FOR NO KEY UPDATE) AS s;
    RETURN QUERY
    SELECT cardinality(shelves) + asked.number::int - 1, h.hours
      FROM unnest(hour_shelf, hour_at) WITH ORDINALITY AS asked (shelf, hour_at, number)
      JOIN monitoring_hourshelf h ON h.shelf = asked.shelf AND h.hour_at = asked.hour_at;
END $$;
"""
NO_LOCK = "DROP FUNCTION monitoring_lock_shelves(bigint[], bigint[], timestamptz[]);"
# what is stored goes over as doubles; what comes after is packed as narrowly as it can be
_RECORD = " || ".join(
    [
        *(f"float8send(coalesce(s.{name}, 'NaN'))" for name in FIGURES),
        *("int2send(s.quality)", "int2send(s.quality_rule)"),
    ]
)
MOVE = f"""
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.oid::regclass::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'monitoring_sample'::regclass
    LOOP
        EXECUTE format('CREATE TABLE %s PARTITION OF monitoring_sampleblock %s',
                       replace(part.name, 'monitoring_sample', 'monitoring_sampleblock'),
                       part.bounds);
    END LOOP;
END $$;
INSERT INTO monitoring_sampleblock
       (shelf, measured_at, received_at, members, part, source, kinds, "values")
SELECT p.shelf_id, s.measured_at, s.received_at, sum(1::bigint << p.slot)::bigint,
       row_number() OVER (PARTITION BY p.shelf_id, s.measured_at) - 1, s.source,
       'd0d0d0d0d0d0d0h0h0', string_agg({_RECORD}, '' ORDER BY p.slot)
  FROM monitoring_sample s JOIN monitoring_poolslot p USING (pool_id)
 GROUP BY p.shelf_id, s.measured_at, s.received_at, s.source;
DROP TABLE monitoring_sample;
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0010_pool_shelves")]
    operations = [
        migrations.CreateModel(
            name="SampleBlock",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "shelf",
                        "measured_at",
                        "part",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("shelf", models.BigIntegerField()),
                ("measured_at", models.DateTimeField()),
                ("part", models.SmallIntegerField()),
                ("source", CodeField(texts=("provider", "history", "sender"))),
                ("received_at", models.DateTimeField()),
                ("members", models.BigIntegerField()),
                ("kinds", models.TextField()),
                ("values", models.BinaryField()),
            ],
            options={"db_table": "monitoring_sampleblock", "managed": False},
        ),
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(BLOCKS),
        migrations.RunSQL(MOVE),
        migrations.RunSQL(VIEW),
        migrations.RunSQL(LOCK, NO_LOCK),
    ]
