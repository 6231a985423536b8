"""The API document can be made from the code without a doubt."""

from django.core.management import call_command


def test_the_api_document_is_made_without_a_warning(tmp_path):
    target = tmp_path / "schema.yml"

    call_command("spectacular", fail_on_warn=True, validate=False, file=str(target))

    text = target.read_text()
    for path in ("/api/v1/telemetry", "/api/v1/workloads", "/api/v1/plans/{plan_id}/approve"):
        assert path in text
