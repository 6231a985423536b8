"""Builds planning problems of national size from the distributions of the shipped real data.

Sizes and durations of jobs are drawn from the Philly and SURF traces (by the unit-hours that they
hold, since those fill a grid; durations rounded up to usual wall-time limits), hourly load of pools
follows the Helios Earth series, price and carbon of each region are those of a real zone and day of
2023, egress and line speeds those of the Skyplane measurements. How many pools and groups there
are, where they lie, how large they are and how scarce capacity is, is constructed: 34 regions, five
pools a site, 20 kinds of pools with a median of 530 units, every second region short.
"""

import dataclasses
import datetime as dt
import pathlib

import numpy as np
import pandas as pd

from scheduling.domain.planner.problem import (
    BoolArray,
    DemandGroup,
    FloatArray,
    PlanningProblem,
    PoolFacts,
    Weights,
)

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
WALL_LIMITS_H = (0.25, 0.5, 1, 2, 4, 8, 12, 24, 48)
REGIONS = 34
KINDS = 20
POOLS_A_SITE = 5
KW_PER_UNIT = 0.4
PUE = 1.3
LOAD = 1.2
CLASSES = ("open", "internal", "restricted")
CLASS_SHARES = (0.7, 0.2, 0.1)


@dataclasses.dataclass(frozen=True)
class Size:
    """How large an instance is."""

    pools: int
    groups: int
    slots: int = 24


SIZES = {
    "XS": Size(20, 40),
    "S": Size(100, 300),
    "M": Size(300, 1_000),
    "L": Size(1_000, 2_000),
    "XL": Size(10_000, 20_000),
}


def job_shapes() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return units, asked hours and share of all unit-hours of real jobs; 16 cores are a unit."""
    philly = pd.read_parquet(FIXTURES / "philly" / "jobs.parquet", columns=["gpus", "runtime_s"])
    surf = pd.read_parquet(FIXTURES / "surf_lisa" / "jobs.parquet", columns=["cores", "runtime_s"])
    units = np.concatenate([philly["gpus"].to_numpy(float), surf["cores"].to_numpy(float) / 16])
    hours = np.concatenate([philly["runtime_s"], surf["runtime_s"]]).astype(float) / 3600
    real = (units >= 1) & (hours > 0)
    limits = np.array(WALL_LIMITS_H)
    asked = limits[np.minimum(np.searchsorted(limits, hours[real]), len(limits) - 1)]
    units = np.ceil(units[real])
    return units, asked, units * asked / float((units * asked).sum())


def day_rates(rng: np.random.Generator, slots: int) -> tuple[FloatArray, FloatArray]:
    """Return (R, T) USD and kg CO2e per unit-hour of a real zone per region, one day for all."""
    frame = pd.read_parquet(FIXTURES / "energy" / "energy_hourly_2023.parquet")
    price = frame.pivot_table(index="timestamp_utc", columns="zone", values="price_usd_per_mwh")
    carbon = frame.pivot_table(
        index="timestamp_utc", columns="zone", values="carbon_lca_g_per_kwh"
    ).reindex(price.index)
    zones = [zone for zone in price.columns if zone in carbon.columns]
    first = int(rng.integers(0, len(price) // 24 - slots // 24 - 1)) * 24
    chosen = rng.choice(zones, size=REGIONS)
    rows = slice(first, first + slots)
    kwh = KW_PER_UNIT * PUE
    usd = price[chosen].ffill().bfill().to_numpy()[rows].T / 1000 * kwh
    kg = carbon[chosen].ffill().bfill().to_numpy()[rows].T / 1000 * kwh
    scale = rng.uniform(0.85, 1.15, size=(REGIONS, 1))
    return usd * scale, kg * scale


def links(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return (R, R) USD per GB and hours per GB, drawn from the measured links; cheap inside."""
    frame = pd.read_parquet(FIXTURES / "network" / "skyplane_links.parquet").dropna(
        subset=["gbps", "egress_usd_per_gb"]
    )
    drawn = frame.sample(REGIONS * REGIONS, replace=True, random_state=int(rng.integers(1 << 31)))
    egress = np.array(drawn["egress_usd_per_gb"], dtype=float).reshape(REGIONS, REGIONS)
    hours = 8 / 3600 / drawn["gbps"].to_numpy(float).reshape(REGIONS, REGIONS)
    np.fill_diagonal(egress, 0.0)
    np.fill_diagonal(hours, 8 / 3600 / 25.0)
    return egress, hours


def loads(rng: np.random.Generator, installed: FloatArray, slots: int) -> FloatArray:
    """Return (P, T) units that pools have left, from the shapes of the Helios series."""
    frame = pd.read_parquet(FIXTURES / "helios_earth" / "hourly.parquet")
    series = [rows["demand"].to_numpy(float) for _, rows in frame.groupby("cluster")]
    shapes = [np.minimum(1.0, one / max(1.0, np.quantile(one, 0.9))) for one in series]
    left = np.empty((len(installed), slots))
    for pool, units in enumerate(installed):
        shape = shapes[int(rng.integers(len(shapes)))]
        first = int(rng.integers(0, (len(shape) - slots) // 24)) * 24
        busy = rng.uniform(0.5, 0.95) * shape[first : first + slots]
        left[pool] = np.floor(units * np.clip(1 - busy, 0.0, 1.0))
    return left


def make_instance(size: Size, seed: int = 1) -> PlanningProblem:
    """Return an instance; the same size and seed give the same one."""
    rng = np.random.default_rng(seed)
    usd, kg = day_rates(rng, size.slots)
    egress, hours = links(rng)
    site = np.arange(size.pools) // POOLS_A_SITE
    region = rng.permutation(site.max() + 1)[site] % REGIONS
    kind = rng.integers(0, KINDS, size=size.pools)
    installed = 8 * np.ceil(np.clip(rng.lognormal(4.2, 0.8, size.pools), 4, 1024))
    left = loads(rng, installed, size.slots)
    pools = tuple(
        PoolFacts(f"p{p:05d}", f"s{site[p]:04d}", f"R{region[p]:02d}", "CN", kind=f"k{kind[p]}")
        for p in range(size.pools)
    )
    groups, allowed = demand(rng, size, region, kind, left)
    return PlanningProblem(
        starts_at=dt.datetime(2023, 5, 26, tzinfo=dt.UTC),
        slots=size.slots,
        pools=pools,
        groups=groups,
        available=left,
        home_available=left + np.ceil(0.05 * installed)[:, None],
        energy_usd_per_unit_h=usd[region],
        carbon_kg_per_unit_h=kg[region],
        allowed=allowed,
        egress_usd_per_gb=egress,
        transfer_h_per_gb=hours,
        max_out_units=region_limits(region, installed),
        max_in_units=region_limits(region, installed),
        weights=Weights(),
        zones=region.astype(np.int64),
    )


def region_limits(region: np.ndarray, installed: FloatArray) -> dict[str, float]:
    """Return the limit of DESIGN's plan cycle, a tenth of each region, on a quarter's horizon."""
    sums = np.bincount(region, weights=installed, minlength=REGIONS)
    return {f"R{r:02d}": float(np.floor(0.5 * sums[r])) for r in range(REGIONS)}


def demand(
    rng: np.random.Generator,
    size: Size,
    region: np.ndarray,
    kind: np.ndarray,
    left: FloatArray,
) -> tuple[tuple[DemandGroup, ...], BoolArray]:
    """Return the groups, and (G, P) where each may run: its kind of pool, and its data class."""
    units, asked, share = job_shapes()
    drawn = rng.choice(len(units), size=size.groups, p=share)
    # every second region is short: its pools are homes three times as often
    weight = left.mean(axis=1) * np.where(region % 2 == 0, 3.0, 1.0) + 1e-9
    home = rng.choice(size.pools, size=size.groups, p=weight / weight.sum())
    wanted = rng.lognormal(0.0, 0.7, size.groups)
    wanted *= LOAD * left.sum() / wanted.sum()
    classes = rng.choice(3, size=size.groups, p=CLASS_SHARES)
    patience = rng.integers(0, size.slots, size=size.groups)
    groups = []
    allowed = np.zeros((size.groups, size.pools), dtype=np.bool_)
    of_kind = [kind == k for k in range(KINDS)]
    for g in range(size.groups):
        u, h = float(units[drawn[g]]), float(asked[drawn[g]])
        held_h = max(1.0, min(h, size.slots))
        jobs = max(1, round(wanted[g] / (u * held_h)))
        last = int(min(size.slots - 1, max(4, patience[g])))
        groups.append(
            DemandGroup(
                key=f"g{g:05d}",
                home=int(home[g]),
                data_class=CLASSES[classes[g]],
                units=int(u),
                jobs=jobs,
                duration_slots=max(1, int(np.ceil(h))),
                duration_h=h,
                latest_start=last,
                data_gb=float(min(500.0, h * u)),
                requirement=f"k{kind[home[g]]}",
            )
        )
        reach = of_kind[kind[home[g]]]
        if classes[g] == 1:
            reach = reach & (region == region[home[g]])
        elif classes[g] == 2:
            reach = np.arange(size.pools) == home[g]
        allowed[g] = reach
    return tuple(groups), allowed
