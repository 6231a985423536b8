"""Reads the inventory: regions, providers, sites and pools."""

from functools import lru_cache

import psycopg
from django.db import connection

from monitoring.domain.inventory import PoolInfo, ProviderInfo, RegionInfo, SiteInfo
from monitoring.models import Pool, Provider, Region, Site

# where the database has each field of the dataclass, in the dataclass's order
_SITE_COLUMNS = (
    *("code", "name_zh", "name_en", "provider_id", "region_id", "lat", "lon"),
    *("is_hub", "hub_zh", "hub_en", "pue", "energy_zone"),
)
_POOL_COLUMNS = (
    *("id", "code", "site_id", "site__region_id", "site__provider_id"),
    *("site__region__jurisdiction", "unit", "installed", "contract", "reserve", "kw_per_unit"),
    *("site__pue", "site__energy_zone", "site__lat", "site__lon"),
    *("stale_after_s", "engine", "engine_url"),
)


def regions() -> list[RegionInfo]:
    """Return all regions, by code."""
    return [RegionInfo(**row) for row in Region.objects.order_by("code").values()]


def providers() -> list[ProviderInfo]:
    """Return all providers, by code."""
    return [ProviderInfo(**row) for row in Provider.objects.order_by("code").values()]


def sites() -> list[SiteInfo]:
    """Return all sites, by code."""
    return [SiteInfo(*row) for row in Site.objects.order_by("code").values_list(*_SITE_COLUMNS)]


def pools() -> list[PoolInfo]:
    """Return all pools, by code."""
    return [PoolInfo(*row) for row in Pool.objects.order_by("code").values_list(*_POOL_COLUMNS)]


def pool_of(code: str) -> PoolInfo | None:
    """Return one pool, or None."""
    if "\0" in code:  # no text of the database can hold it
        return None
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        row = cursor.execute(_pool_statement(), (code,)).fetchone()
    return None if row is None else PoolInfo(*row)


@lru_cache(maxsize=1)
def _pool_statement() -> str:
    # composed once: for one row that takes longer than the question itself
    statement, _ = Pool.objects.filter(code="").values_list(*_POOL_COLUMNS).query.sql_with_params()
    return str(statement)
