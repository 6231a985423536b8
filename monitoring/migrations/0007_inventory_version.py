"""Gives the inventory a version that changes with every change of a pool or a site.

It comes from a sequence, so a version that was rolled back is never given again; who remembers
what it read under a version may rely on that.
"""

from django.db import migrations

FORWARD = """
CREATE SEQUENCE monitoring_inventoryversion_seq;
CREATE TABLE monitoring_inventoryversion (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
INSERT INTO monitoring_inventoryversion (version)
VALUES (nextval('monitoring_inventoryversion_seq'));
CREATE FUNCTION monitoring_inventory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE monitoring_inventoryversion SET version = nextval('monitoring_inventoryversion_seq');
    RETURN NULL;
END
$$;
CREATE TRIGGER monitoring_pool_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON monitoring_pool
    FOR EACH STATEMENT EXECUTE FUNCTION monitoring_inventory_changed();
CREATE TRIGGER monitoring_site_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON monitoring_site
    FOR EACH STATEMENT EXECUTE FUNCTION monitoring_inventory_changed();
"""
BACKWARD = """
DROP TRIGGER monitoring_site_changed ON monitoring_site;
DROP TRIGGER monitoring_pool_changed ON monitoring_pool;
DROP FUNCTION monitoring_inventory_changed;
DROP TABLE monitoring_inventoryversion;
DROP SEQUENCE monitoring_inventoryversion_seq;
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0006_lean_samples")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
