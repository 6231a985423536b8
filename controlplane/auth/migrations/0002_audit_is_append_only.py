"""Makes the database itself refuse to change, remove or truncate audit entries."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION gridauth_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are append-only: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER gridauth_auditentry_no_change
    BEFORE UPDATE OR DELETE ON gridauth_auditentry
    FOR EACH ROW EXECUTE FUNCTION gridauth_refuse_change();
CREATE TRIGGER gridauth_auditentry_no_truncate
    BEFORE TRUNCATE ON gridauth_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION gridauth_refuse_change();
"""
BACKWARD = """
DROP TRIGGER gridauth_auditentry_no_truncate ON gridauth_auditentry;
DROP TRIGGER gridauth_auditentry_no_change ON gridauth_auditentry;
DROP FUNCTION gridauth_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("gridauth", "0001_roles_keys_and_audit")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
