"""Names what the inventory tells other packages of regions, providers, sites and pools."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RegionInfo:
    """A region of the inventory; its carbon factor is a yearly constant (g/kWh) or None."""

    code: str
    name_zh: str
    name_en: str
    lat: float
    lon: float
    jurisdiction: str
    carbon_g_per_kwh: float | None
    carbon_basis: str


@dataclass(frozen=True)
class ProviderInfo:
    """A provider of the inventory."""

    code: str
    name_zh: str
    name_en: str


@dataclass(frozen=True)
class SiteInfo:
    """A site of the inventory; `energy_zone` stands in where no local series is public."""

    code: str
    name_zh: str
    name_en: str
    provider: str
    region: str
    lat: float
    lon: float
    is_hub: bool
    hub_zh: str
    hub_en: str
    pue: float
    energy_zone: str


@dataclass(frozen=True)
class PoolInfo:
    """A pool of the inventory with what its site says of it; sizes in its unit."""

    id: int
    code: str
    site: str
    region: str
    provider: str
    jurisdiction: str
    unit: str
    installed: float
    contract: float
    reserve: float
    kw_per_unit: float
    pue: float
    energy_zone: str
    lat: float
    lon: float
    stale_after_s: float
    engine: str
    engine_url: str
