"""The demo's services go together with the demo's grid."""

import json
from pathlib import Path

import pytest

from scheduling.domain.announcements import read_service

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
GRID = json.loads((FIXTURES / "grid.json").read_text(encoding="utf-8"))
SERVICES = json.loads((FIXTURES / "services.json").read_text(encoding="utf-8"))["services"]
PROVIDER_OF_SITE = {site["code"]: site["provider"] for site in GRID["sites"]}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service["external_id"])
def test_every_service_would_be_taken_from_the_provider_it_names(service):
    pools = {
        pool["code"]: place
        for place, pool in enumerate(GRID["pools"])
        if PROVIDER_OF_SITE[pool["site"]] == service["provider"]
    }

    read = read_service(service, pools, [region["code"] for region in GRID["regions"]])

    assert read["is_running"]
    assert len(read["users"]) == len(service["users"])


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service["external_id"])
def test_no_service_asks_for_more_than_half_of_its_pool(service):
    installed = {pool["code"]: pool["installed"] for pool in GRID["pools"]}

    hours = zip(*(users["units"] for users in service["users"]), strict=True)

    assert max(sum(hour) for hour in hours) <= installed[service["pool"]] / 2
