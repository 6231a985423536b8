"""Stores the points of standard senders in blocks of 128 series instead of a row for each.

The weekly partitions are made by `keep_partitions`. The view `monitoring_point` shows single points
to people and tools; programs read whole blocks. Points stored before are dropped: nothing read them.
What processes remember of series and rules holds for one epoch, which triggers end.
"""

import django.db.models.deletion
from django.db import migrations, models

BLOCKS = """
DROP TABLE monitoring_point;
CREATE TABLE monitoring_pointblock (
    shelf bigint NOT NULL,
    measured_at timestamptz NOT NULL,
    members bytea NOT NULL CHECK (octet_length(members) = 16),
    "values" bytea NOT NULL,
    PRIMARY KEY (shelf, measured_at)
) PARTITION BY RANGE (measured_at);
-- keys made before come from a counter that starts at 1 and never gets here
CREATE SEQUENCE monitoring_shelf_seq START 4294967296;
"""
NO_BLOCKS = """
DROP SEQUENCE monitoring_shelf_seq;
DROP TABLE monitoring_pointblock;
CREATE TABLE monitoring_point (
    series_id bigint NOT NULL REFERENCES monitoring_series (id) ON DELETE CASCADE,
    measured_at timestamptz NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (series_id, measured_at)
) PARTITION BY RANGE (measured_at);
"""
# the sixteen hexadecimal digits of a double as a number: sign, exponent, fraction
VIEW = """
CREATE FUNCTION monitoring_double(digits text) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN exponent = 2047 AND fraction <> 0 THEN 'NaN'::float8
        WHEN exponent = 2047 THEN sign * 'Infinity'::float8
        WHEN exponent = 0 THEN sign * fraction * 2::float8 ^ -537 * 2::float8 ^ -537
        WHEN exponent < 1023
            THEN sign * (1 + fraction / 2::float8 ^ 52) * 2::float8 ^ (exponent - 1022) / 2
        ELSE sign * (1 + fraction / 2::float8 ^ 52) * 2::float8 ^ (exponent - 1023)
    END
    FROM (
        SELECT CASE get_bit(bits, 0) WHEN 0 THEN 1::float8 ELSE -1::float8 END AS sign,
               substring(bits FROM 2 FOR 11)::int AS exponent,
               substring(bits FROM 13)::bit(52)::bigint::float8 AS fraction
          FROM (SELECT ('x' || digits)::bit(64) AS bits) AS read
    ) AS parts
$$;
CREATE VIEW monitoring_point AS
SELECT block.shelf * 128 + member.slot AS series_id, block.measured_at,
       monitoring_double(
           encode(substring(block."values" FROM 8 * member.rank + 1 FOR 8), 'hex')) AS value
  FROM monitoring_pointblock AS block
 CROSS JOIN LATERAL (
       SELECT slot, (row_number() OVER (ORDER BY slot))::int - 1 AS rank
         FROM generate_series(0, 127) AS slot
        WHERE get_bit(block.members, slot) = 1) AS member;
"""
NO_VIEW = """
DROP VIEW monitoring_point;
DROP FUNCTION monitoring_double(text);
"""
EPOCH = """
CREATE TABLE monitoring_senderepoch (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    epoch bigint NOT NULL
);
-- a counter's number is not given again when a transaction is rolled back
CREATE SEQUENCE monitoring_senderepoch_seq;
CREATE FUNCTION monitoring_end_sender_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO monitoring_senderepoch (epoch) VALUES (nextval('monitoring_senderepoch_seq'))
        ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch;
    RETURN NULL;
END $$;
CREATE TRIGGER series_end_sender_epoch AFTER UPDATE OR DELETE OR TRUNCATE ON monitoring_series
    FOR EACH STATEMENT EXECUTE FUNCTION monitoring_end_sender_epoch();
CREATE TRIGGER mapping_ends_sender_epoch
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON monitoring_mappingset
    FOR EACH STATEMENT EXECUTE FUNCTION monitoring_end_sender_epoch();
CREATE TRIGGER pool_ends_sender_epoch
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON monitoring_pool
    FOR EACH STATEMENT EXECUTE FUNCTION monitoring_end_sender_epoch();
CREATE TRIGGER site_ends_sender_epoch
    AFTER UPDATE OR DELETE OR TRUNCATE ON monitoring_site
    FOR EACH STATEMENT EXECUTE FUNCTION monitoring_end_sender_epoch();
"""
NO_EPOCH = """
DROP TRIGGER site_ends_sender_epoch ON monitoring_site;
DROP TRIGGER pool_ends_sender_epoch ON monitoring_pool;
DROP TRIGGER mapping_ends_sender_epoch ON monitoring_mappingset;
DROP TRIGGER series_end_sender_epoch ON monitoring_series;
DROP FUNCTION monitoring_end_sender_epoch();
DROP SEQUENCE monitoring_senderepoch_seq;
DROP TABLE monitoring_senderepoch;
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0003_narrow_series")]

    operations = [
        migrations.AddIndex(
            model_name="series",
            index=models.Index(fields=["provider", "id"], name="series_newest"),
        ),
        migrations.CreateModel(
            name="PointShelf",
            fields=[
                ("shelf", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "used",
                    models.SmallIntegerField(
                        help_text="places that are given away; none is given again"
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
                "indexes": [models.Index(fields=["provider", "shelf"], name="shelf_newest")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("used__gte", 0), ("used__lte", 128)),
                        name="shelf_holds_so_many",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PointBlock",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "shelf",
                        "measured_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("shelf", models.BigIntegerField()),
                ("measured_at", models.DateTimeField()),
                ("members", models.BinaryField()),
                ("values", models.BinaryField()),
            ],
            options={"db_table": "monitoring_pointblock", "managed": False},
        ),
        migrations.AlterField(
            model_name="point",
            name="series",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                to="monitoring.series",
            ),
        ),
        migrations.RunSQL(BLOCKS, NO_BLOCKS),
        migrations.RunSQL(VIEW, NO_VIEW),
        migrations.RunSQL(EPOCH, NO_EPOCH),
    ]
