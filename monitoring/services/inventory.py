"""Writes the inventory: regions, providers, sites and pools."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from monitoring.models import Pool, Provider, Region, Site

_NAMES_AND_POINT = ["name_zh", "name_en", "lat", "lon"]
_REGION_FACTS = [*_NAMES_AND_POINT, "jurisdiction", "carbon_g_per_kwh", "carbon_basis"]
_SITE_FACTS = [
    *_NAMES_AND_POINT,
    *("provider_id", "region_id", "is_hub", "hub_zh", "hub_en", "pue", "energy_zone"),
]
# contract, reserve and limits are a grid admin's to set: a pool that exists keeps them
_POOL_FACTS = ["site_id", "unit", "installed", "kw_per_unit", "engine_url"]


@transaction.atomic
def register_inventory(
    inventory: Mapping[str, Sequence[Mapping[str, Any]]], *, engines: Mapping[str, str]
) -> dict[str, int]:
    """Add regions, providers, sites and pools, or bring those that exist up to date.

    Args:
        inventory: `regions`, `providers`, `sites` and `pools`, each a list of flat objects.
        engines: provider code to the address of its engine; a pool of a provider without one keeps
            the address that it has.

    Returns:
        How many of each there were in the inventory.
    """
    Region.objects.bulk_create(
        [_region(row) for row in inventory["regions"]],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=_REGION_FACTS,
    )
    Provider.objects.bulk_create(
        [_provider(row) for row in inventory["providers"]],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=["name_zh", "name_en"],
    )
    Site.objects.bulk_create(
        [_site(row) for row in inventory["sites"]],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=_SITE_FACTS,
    )
    provider_of = {row["code"]: row["provider"] for row in inventory["sites"]}
    known_urls = dict(Pool.objects.values_list("code", "engine_url"))
    pools = [
        _pool(row, engines.get(provider_of[row["site"]]) or known_urls.get(row["code"], ""))
        for row in inventory["pools"]
    ]
    Pool.objects.bulk_create(
        pools, update_conflicts=True, unique_fields=["code"], update_fields=_POOL_FACTS
    )
    return {name: len(inventory[name]) for name in ("regions", "providers", "sites", "pools")}


def _region(row: Mapping[str, Any]) -> Region:
    return Region(
        code=row["code"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        lat=row["lat"],
        lon=row["lon"],
        jurisdiction=row["jurisdiction"],
        carbon_g_per_kwh=row["carbon_g_per_kwh"],
        carbon_basis=row["carbon_basis"] or "",
    )


def _provider(row: Mapping[str, Any]) -> Provider:
    return Provider(code=row["code"], name_zh=row["name_zh"], name_en=row["name_en"])


def _site(row: Mapping[str, Any]) -> Site:
    return Site(
        code=row["code"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        provider_id=row["provider"],
        region_id=row["region"],
        lat=row["lat"],
        lon=row["lon"],
        is_hub=row["is_hub"],
        hub_zh=row["hub_zh"] or "",
        hub_en=row["hub_en"] or "",
        pue=row["pue"],
        energy_zone=row["energy_zone"],
    )


def _pool(row: Mapping[str, Any], engine_url: str) -> Pool:
    return Pool(
        code=row["code"],
        site_id=row["site"],
        unit=row["unit"],
        installed=row["installed"],
        contract=row["contract"],
        reserve=row.get("reserve", 0.0),
        kw_per_unit=row["kw_per_unit"],
        engine_url=engine_url,
    )
