"""Packs newest states and hourly sums: a shelf of up to 48 pools of one provider in each row.

A row for each pool and hour cost an update and a log record each with every tick. The views
`monitoring_poolstate` and `monitoring_poolhour` show single pools to people and tools, who may
also put something right through them; programs read whole shelves.
"""

import django.db.models.deletion
from django.db import migrations, models

from monitoring.models import CodeField

SLOTS = 48
VALUES = (
    *("capacity", "allocated", "queued", "unavailable"),
    *("power_kw", "price_per_unit_h", "carbon_g_per_kwh"),
)
COUNTS = ("samples", "good_samples", "power_samples", "price_samples", "carbon_samples")
SUMS = (
    *("capacity_sum", "allocated_sum", "queued_sum", "power_kw_sum", "price_sum", "carbon_sum"),
    "demand_max",
)
QUALITIES = ("good", "stale", "suspect", "substituted", "invalid")
RULES = (
    *("", "allocated-above-capacity", "over-claim", "partial-tick", "carried-forward"),
    *("unit-jump", "not-a-count", "flat-line"),
)
# bytes of a record: two times, seven figures, two codes; five counts, seven sums
STATE_BYTES = HOUR_BYTES = 76
# Rows stay whole on their pages, where an update finds room beside the version before it.
STORAGE = """
ALTER TABLE monitoring_poolshelf ALTER COLUMN states SET STORAGE PLAIN,
    SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE monitoring_hourshelf ALTER COLUMN hours SET STORAGE PLAIN, SET (fillfactor = 50);
CREATE SEQUENCE monitoring_poolshelf_seq;
"""
NO_STORAGE = "DROP SEQUENCE monitoring_poolshelf_seq;"
PLACES = f"""
CREATE FUNCTION monitoring_give_slot() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner text;
    chosen bigint;
    taken smallint;
BEGIN
    SELECT provider_id INTO owner FROM monitoring_site WHERE code = NEW.site_id;
    SELECT shelf, used INTO chosen, taken FROM monitoring_poolshelf
     WHERE provider_id = owner ORDER BY shelf DESC LIMIT 1 FOR UPDATE;
    IF chosen IS NULL OR taken >= {SLOTS} THEN
        taken := 0;
        INSERT INTO monitoring_poolshelf (shelf, provider_id, used, states)
        VALUES (nextval('monitoring_poolshelf_seq'), owner, 0, '') RETURNING shelf INTO chosen;
    END IF;
    UPDATE monitoring_poolshelf SET used = taken + 1 WHERE shelf = chosen;
    INSERT INTO monitoring_poolslot (pool_id, shelf_id, slot) VALUES (NEW.id, chosen, taken);
    RETURN NULL;
END $$;
CREATE TRIGGER monitoring_pool_gets_slot AFTER INSERT ON monitoring_pool
    FOR EACH ROW EXECUTE FUNCTION monitoring_give_slot();
-- the pools that there are, provider by provider
CREATE TEMPORARY TABLE placed ON COMMIT DROP AS
SELECT p.id AS pool_id, s.provider_id,
       (row_number() OVER (PARTITION BY s.provider_id ORDER BY p.id) - 1) / {SLOTS} AS part,
       (row_number() OVER (PARTITION BY s.provider_id ORDER BY p.id) - 1) % {SLOTS} AS slot
  FROM monitoring_pool p JOIN monitoring_site s ON s.code = p.site_id;
INSERT INTO monitoring_poolshelf (shelf, provider_id, used, states)
SELECT nextval('monitoring_poolshelf_seq'), provider_id, count, ''
  FROM (SELECT provider_id, part, count(*) AS count FROM placed
         GROUP BY provider_id, part ORDER BY provider_id, part) AS parts;
INSERT INTO monitoring_poolslot (pool_id, shelf_id, slot)
SELECT pool_id, shelf, slot FROM placed
  JOIN (SELECT shelf, provider_id,
               row_number() OVER (PARTITION BY provider_id ORDER BY shelf) - 1 AS part
          FROM monitoring_poolshelf) AS made USING (provider_id, part);
"""
NO_PLACES = """
DROP TRIGGER monitoring_pool_gets_slot ON monitoring_pool;
DROP FUNCTION monitoring_give_slot();
"""


def _us(column: str) -> str:
    return f"int8send((extract(epoch FROM {column}) * 1000000)::int8)"


def _state_record(row: str, quality: str, rule: str) -> str:
    parts = [_us(f"{row}.measured_at"), _us(f"{row}.received_at")]
    parts += [f"float8send(coalesce({row}.{name}, 'NaN'))" for name in VALUES]
    return " || ".join([*parts, f"int2send({quality})", f"int2send({rule})"])


def _hour_record(row: str) -> str:
    parts = [f"int4send({row}.{name}::int4)" for name in COUNTS]
    return " || ".join([*parts, *(f"float8send({row}.{name})" for name in SUMS)])


def _code(texts: tuple[str, ...], column: str) -> str:
    array = ", ".join(f"'{text}'" for text in texts)
    return f"(array_position(ARRAY[{array}], {column}) - 1)::int2"


_MOVED_STATE = _state_record("t", _code(QUALITIES, "t.quality"), _code(RULES, "t.quality_rule"))
# each slot from the first to the last one in use has its record
MOVE = f"""
UPDATE monitoring_poolshelf AS f SET states = packed.states
  FROM (SELECT p.shelf_id,
               string_agg(coalesce({_MOVED_STATE}, monitoring_no_state()), '' ORDER BY p.slot)
                   AS states
          FROM monitoring_poolslot p LEFT JOIN monitoring_poolstate t USING (pool_id)
         GROUP BY p.shelf_id) AS packed
 WHERE f.shelf = packed.shelf_id;
INSERT INTO monitoring_hourshelf (shelf, hour_at, hours)
SELECT touched.shelf_id, touched.hour_at,
       string_agg(coalesce({_hour_record("t")}, monitoring_no_hour()), '' ORDER BY p.slot)
  FROM (SELECT DISTINCT shelf_id, hour_at
          FROM monitoring_poolhour JOIN monitoring_poolslot USING (pool_id)) AS touched
  JOIN monitoring_poolslot p ON p.shelf_id = touched.shelf_id
  LEFT JOIN monitoring_poolhour t ON t.pool_id = p.pool_id AND t.hour_at = touched.hour_at
 GROUP BY touched.shelf_id, touched.hour_at;
DROP TABLE monitoring_poolstate;
DROP TABLE monitoring_poolhour;
"""


def _at(blob: str, offset: int, width: int, record: int) -> str:
    return f"substring({blob} FROM {record} * p.slot + {offset + 1} FOR {width})"


def _number(piece: str, bits: int, kind: str) -> str:
    return f"('x' || encode({piece}, 'hex'))::bit({bits})::{kind}"


def _double(piece: str) -> str:
    return f"monitoring_double(encode({piece}, 'hex'))"


def _state_columns() -> str:
    def piece(offset: int, width: int) -> str:
        return _at("f.states", offset, width, STATE_BYTES)

    moment = "timestamptz '1970-01-01 00:00:00+00' + interval '1 microsecond' * "
    columns = [
        f"{moment}{_number(piece(0, 8), 64, 'int8')} AS measured_at",
        f"{moment}{_number(piece(8, 8), 64, 'int8')} AS received_at",
    ]
    columns += [
        f"nullif({_double(piece(16 + 8 * n, 8))}, 'NaN') AS {name}" for n, name in enumerate(VALUES)
    ]
    columns += [
        f"({_number(piece(at, 2), 16, 'int4')})::int2 AS {name}"
        for at, name in ((72, "quality"), (74, "quality_rule"))
    ]
    return ",\n       ".join(columns)


def _hour_columns() -> str:
    columns = [
        f"{_number(_at('h.hours', 4 * n, 4, HOUR_BYTES), 32, 'int4')} AS {name}"
        for n, name in enumerate(COUNTS)
    ]
    columns += [
        f"{_double(_at('h.hours', 20 + 8 * n, 8, HOUR_BYTES))} AS {name}"
        for n, name in enumerate(SUMS)
    ]
    return ",\n       ".join(columns)


RECORDS = f"""
-- never measured: the smallest time there is
CREATE FUNCTION monitoring_no_state() RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT decode('80' || repeat('00', {STATE_BYTES - 1}), 'hex') $$;
CREATE FUNCTION monitoring_no_hour() RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT decode(repeat('00', {HOUR_BYTES}), 'hex') $$;
CREATE FUNCTION monitoring_put_record(
    run bytea, slot int, record bytea, nothing bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    WHILE octet_length(run) < octet_length(record) * (slot + 1) LOOP
        run := run || nothing;
    END LOOP;
    RETURN overlay(run PLACING record FROM octet_length(record) * slot + 1);
END $$;
"""
NO_RECORDS = """
DROP FUNCTION monitoring_put_record(bytea, int, bytea, bytea);
DROP FUNCTION monitoring_no_hour();
DROP FUNCTION monitoring_no_state();
"""
STATE_VIEW = f"""
CREATE VIEW monitoring_poolstate AS
SELECT p.pool_id,
       {_state_columns()}
  FROM monitoring_poolslot p JOIN monitoring_poolshelf f ON f.shelf = p.shelf_id
 WHERE octet_length(f.states) > {STATE_BYTES} * p.slot
   AND {_at("f.states", 0, 8, STATE_BYTES)} <> '\\x8000000000000000';
CREATE FUNCTION monitoring_write_poolstate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE monitoring_poolshelf f
       SET states = monitoring_put_record(f.states, p.slot, CASE WHEN TG_OP = 'DELETE'
           THEN monitoring_no_state()
           ELSE {_state_record("NEW", "NEW.quality", "NEW.quality_rule")} END,
           monitoring_no_state())
      FROM monitoring_poolslot p
     WHERE f.shelf = p.shelf_id
       AND p.pool_id = CASE WHEN TG_OP = 'DELETE' THEN OLD.pool_id ELSE NEW.pool_id END;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER monitoring_poolstate_written INSTEAD OF INSERT OR UPDATE OR DELETE
    ON monitoring_poolstate FOR EACH ROW EXECUTE FUNCTION monitoring_write_poolstate();
"""
HOUR_VIEW = f"""
CREATE VIEW monitoring_poolhour AS
SELECT p.pool_id, h.hour_at,
       {_hour_columns()}
  FROM monitoring_hourshelf h JOIN monitoring_poolslot p ON p.shelf_id = h.shelf
 WHERE octet_length(h.hours) > {HOUR_BYTES} * p.slot
   AND {_at("h.hours", 0, 4, HOUR_BYTES)} <> '\\x00000000';
CREATE FUNCTION monitoring_write_poolhour() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE monitoring_hourshelf h
           SET hours = monitoring_put_record(
               h.hours, p.slot, monitoring_no_hour(), monitoring_no_hour())
          FROM monitoring_poolslot p
         WHERE p.pool_id = OLD.pool_id AND h.shelf = p.shelf_id AND h.hour_at = OLD.hour_at;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    INSERT INTO monitoring_hourshelf AS h (shelf, hour_at, hours)
    SELECT p.shelf_id, NEW.hour_at, monitoring_put_record(
               '', p.slot, {_hour_record("NEW")}, monitoring_no_hour())
      FROM monitoring_poolslot p WHERE p.pool_id = NEW.pool_id
        ON CONFLICT (shelf, hour_at) DO UPDATE SET hours = monitoring_put_record(
           h.hours, octet_length(excluded.hours) / {HOUR_BYTES} - 1,
           {_hour_record("NEW")}, monitoring_no_hour());
    RETURN NEW;
END $$;
CREATE TRIGGER monitoring_poolhour_written INSTEAD OF INSERT OR UPDATE OR DELETE
    ON monitoring_poolhour FOR EACH ROW EXECUTE FUNCTION monitoring_write_poolhour();
"""


VIEW = {"managed": False}


def _pool(kind: type[models.ForeignKey], **options: object) -> models.ForeignKey:
    return kind(on_delete=django.db.models.deletion.DO_NOTHING, to="monitoring.pool", **options)


STATE_FIELDS = [
    ("pool", _pool(models.OneToOneField, primary_key=True, related_name="state", serialize=False)),
    ("measured_at", models.DateTimeField()),
    ("received_at", models.DateTimeField()),
    *((name, models.FloatField()) for name in VALUES[:3]),
    *((name, models.FloatField(null=True)) for name in VALUES[3:]),
    ("quality", CodeField(texts=QUALITIES)),
    ("quality_rule", CodeField(default="", texts=RULES)),
]
HOUR_FIELDS = [
    (
        "pk",
        models.CompositePrimaryKey(
            "pool_id", "hour_at", blank=True, editable=False, primary_key=True, serialize=False
        ),
    ),
    ("hour_at", models.DateTimeField()),
    *((name, models.IntegerField()) for name in COUNTS),
    *((name, models.FloatField()) for name in SUMS),
    ("pool", _pool(models.ForeignKey, db_constraint=False)),
]


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0009_pool_days")]
    operations = [
        migrations.CreateModel(
            name="PoolShelf",
            fields=[
                ("shelf", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "used",
                    models.SmallIntegerField(
                        help_text="slots that are given away; none is given again"
                    ),
                ),
                ("states", models.BinaryField(default=b"")),
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
                "indexes": [
                    models.Index(fields=["provider", "shelf"], name="poolshelf_newest"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PoolSlot",
            fields=[
                (
                    "pool",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="place",
                        serialize=False,
                        to="monitoring.pool",
                    ),
                ),
                (
                    "shelf",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="monitoring.poolshelf",
                    ),
                ),
                ("slot", models.SmallIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("shelf", "slot"), name="slot_given_once"),
                    models.CheckConstraint(
                        condition=models.Q(("slot__gte", 0), ("slot__lt", SLOTS)),
                        name="slot_on_the_shelf",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HourShelf",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "shelf",
                        "hour_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("shelf", models.BigIntegerField()),
                ("hour_at", models.DateTimeField(db_index=True)),
                ("hours", models.BinaryField()),
            ],
        ),
        migrations.RunSQL(STORAGE, NO_STORAGE),
        migrations.RunSQL(PLACES, NO_PLACES),
        migrations.RunSQL(RECORDS, NO_RECORDS),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(MOVE),
                migrations.RunSQL(STATE_VIEW),
                migrations.RunSQL(HOUR_VIEW),
            ],
            state_operations=[
                migrations.DeleteModel("PoolState"),
                migrations.DeleteModel("PoolHour"),
                migrations.CreateModel(
                    "PoolState", STATE_FIELDS, VIEW | {"db_table": "monitoring_poolstate"}
                ),
                migrations.CreateModel(
                    "PoolHour", HOUR_FIELDS, VIEW | {"db_table": "monitoring_poolhour"}
                ),
            ],
        ),
    ]
