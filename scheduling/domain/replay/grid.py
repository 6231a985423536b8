"""Joins jobs, scenario and tables into the grid on which the replay runs."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from scheduling.domain.replay.jobs import Floats, Ints, JobTable, offered_quantile, without
from scheduling.domain.replay.scenario import BadScenario, Scenario
from scheduling.domain.replay.tariffs import HOUR_S, HourlyRate

_ENERGY_COLUMNS = ("timestamp_utc", "zone", "price_usd_per_mwh", "carbon_lca_g_per_kwh")
_LINK_COLUMNS = ("src", "dst", "gbps", "egress_usd_per_gb")
_EARTH_KM = 6371.0


@dataclass(frozen=True)
class ReplayGrid:
    """Pools with all that running a job on them costs.

    Attributes:
        capacity: (P,) units.
        zones: (P,) zone of the energy table behind each pool.
        power_usd: energy cost per unit-hour.
        carbon_g: carbon per unit-hour, g.
        energy_usd: energy and priced carbon per unit-hour.
        delay_usd: (P,) one unit waiting an hour.
        gb_per_unit_h: (P,) data moved with a unit-hour of work of jobs at home there.
        egress_usd_per_gb: (P, P) from home to destination, 0 on the diagonal.
        transfer_s_per_gb: (P, P) time to move data.
        distance_km: (P, P) great-circle distance, NaN where no place is given.
        data_class: (N,) class of each job's data.
        allowed: (N, P) whether rule, unit and size let a job run on a pool.
    """

    capacity: Ints
    zones: tuple[str, ...]
    power_usd: HourlyRate
    carbon_g: HourlyRate
    energy_usd: HourlyRate
    delay_usd: Floats
    gb_per_unit_h: Floats
    egress_usd_per_gb: Floats
    transfer_s_per_gb: Floats
    distance_km: Floats
    data_class: npt.NDArray[np.str_]
    allowed: npt.NDArray[np.bool_]


def build_grid(
    jobs: JobTable, scenario: Scenario, *, energy: pd.DataFrame, network: pd.DataFrame | None
) -> tuple[JobTable, ReplayGrid]:
    """Build the grid.

    Args:
        jobs: the trace.
        scenario: the circumstances.
        energy: hourly rows `timestamp_utc, zone, price_usd_per_mwh, carbon_lca_g_per_kwh`.
        network: rows `src, dst, gbps, egress_usd_per_gb`, or None for the constants.

    Returns:
        The jobs that their own home can hold (only those can be compared with staying there),
        and the grid.

    Raises:
        BadScenario: a cluster, zone or column that the scenario speaks of is not there.
        BadJobsFrame: no job fits into its home.
    """
    _check_clusters(jobs, scenario)
    capacity = _capacities(jobs, scenario)
    jobs = without(jobs, jobs.units > capacity[jobs.home], "larger than its home cluster")
    zones, price, carbon, offset_s = _energy(jobs, scenario, energy)
    pue = np.array([scenario.pue_of.get(name, scenario.pue) for name in jobs.pool_clusters])
    kw = pue * np.array([scenario.kw_per_unit[unit] for unit in jobs.pool_units])
    power, grams = price * kw / 1000.0, carbon * kw
    egress, transfer = _links(jobs, scenario, network)
    data_class = _classes(jobs, scenario)
    grid = ReplayGrid(
        capacity=capacity,
        zones=zones,
        power_usd=HourlyRate(power, offset_s),
        carbon_g=HourlyRate(grams, offset_s),
        energy_usd=HourlyRate(power + grams * 1e-6 * scenario.carbon_usd_per_t, offset_s),
        delay_usd=np.array([scenario.delay_usd_per_unit_h[unit] for unit in jobs.pool_units]),
        gb_per_unit_h=np.array([scenario.gb_per_unit_h[unit] for unit in jobs.pool_units]),
        egress_usd_per_gb=egress,
        transfer_s_per_gb=transfer,
        distance_km=_distances(jobs, scenario),
        data_class=data_class,
        allowed=_allowed(jobs, scenario, data_class, capacity=capacity),
    )
    return jobs, grid


def _check_clusters(jobs: JobTable, scenario: Scenario) -> None:
    known = set(jobs.pool_names) | set(jobs.pool_clusters)
    for name, keys in (
        ("capacity", scenario.capacity),
        ("zones", scenario.zones),
        ("pue", scenario.pue_of),
        ("places", scenario.places),
    ):
        for cluster in keys:
            if cluster not in known:
                raise BadScenario(f"{name}.{cluster}", "no job has this cluster.")
    for data_class in scenario.sovereignty:
        if data_class not in scenario.data_class:
            raise BadScenario(f"sovereignty.{data_class}", "is no class of data_class.")


def _capacities(jobs: JobTable, scenario: Scenario) -> Ints:
    found = []
    for p, (name, cluster) in enumerate(zip(jobs.pool_names, jobs.pool_clusters, strict=True)):
        stated = scenario.capacity.get(name, scenario.capacity.get(cluster))
        if stated is not None and name != cluster and name not in scenario.capacity:
            raise BadScenario(f"capacity.{cluster}", "serves gpu and core: name both pools.")
        largest = int(jobs.units[jobs.home == p].max())
        measured = offered_quantile(jobs, p, scenario.capacity_quantile)
        found.append(stated if stated is not None else max(largest, measured))
    return np.array(found, dtype=np.int64)


def _energy(
    jobs: JobTable, scenario: Scenario, frame: pd.DataFrame
) -> tuple[tuple[str, ...], Floats, Floats, float]:
    missing = [name for name in _ENERGY_COLUMNS if name not in frame]
    if missing:
        raise BadScenario("energy", f"columns are missing: {', '.join(missing)}.")
    at = pd.to_datetime(frame["timestamp_utc"], utc=True, errors="coerce")
    rows = frame.assign(timestamp_utc=at)
    if at.isna().any():
        raise BadScenario("energy", "timestamp_utc holds something that is no moment.")
    if rows.duplicated(["timestamp_utc", "zone"]).any():
        raise BadScenario("energy", "a zone has two rows for one hour.")
    price, carbon = (
        rows.pivot(index="timestamp_utc", columns="zone", values=name).dropna(axis=1, how="all")
        for name in ("price_usd_per_mwh", "carbon_lca_g_per_kwh")
    )
    usable = sorted(set(price.columns) & set(carbon.columns))
    if not usable:
        raise BadScenario("energy", "no zone has both price and carbon.")
    hours = pd.date_range(at.min(), at.max(), freq="h")
    zones = _zones(jobs, scenario, usable)
    first_s = (pd.Timestamp(scenario.start_utc) - hours[0]).total_seconds()
    if not 0.0 <= first_s < len(hours) * HOUR_S:
        raise BadScenario("start_utc", f"the energy table spans {hours[0]} to {hours[-1]}.")
    filled = [
        table[list(zones)].reindex(hours).ffill().bfill().to_numpy(dtype=np.float64)
        for table in (price, carbon)
    ]
    return zones, filled[0], filled[1], first_s


def _zones(jobs: JobTable, scenario: Scenario, usable: list[str]) -> tuple[str, ...]:
    clusters = sorted(set(jobs.pool_clusters))
    in_order = {name: usable[i % len(usable)] for i, name in enumerate(clusters)}
    zones = []
    for name, cluster in zip(jobs.pool_names, jobs.pool_clusters, strict=True):
        zone = scenario.zones.get(name, scenario.zones.get(cluster, in_order[cluster]))
        if zone not in usable:
            raise BadScenario(f"zones.{cluster}", f"{zone} has no price and carbon in the table.")
        zones.append(zone)
    return tuple(zones)


def _links(
    jobs: JobTable, scenario: Scenario, network: pd.DataFrame | None
) -> tuple[Floats, Floats]:
    pools = len(jobs.pool_names)
    egress = np.full((pools, pools), scenario.egress_usd_per_gb)
    gbps = np.full((pools, pools), scenario.gbps or np.inf)
    if network is not None:
        missing = [name for name in _LINK_COLUMNS if name not in network]
        if missing:
            raise BadScenario("network", f"columns are missing: {', '.join(missing)}.")
        names = [_network_name(scenario, cluster) for cluster in jobs.pool_clusters]
        links = network.drop_duplicates(["src", "dst"]).set_index(["src", "dst"])
        pairs = pd.MultiIndex.from_product([names, names])
        found = links[["gbps", "egress_usd_per_gb"]].reindex(pairs)
        speed = found["gbps"].to_numpy(dtype=np.float64).reshape(pools, pools)
        price = found["egress_usd_per_gb"].to_numpy(dtype=np.float64).reshape(pools, pools)
        gbps = np.where(speed > 0, speed, gbps)
        egress = np.where(price >= 0, price, egress)
    same = np.equal.outer(np.array(jobs.pool_clusters), np.array(jobs.pool_clusters))
    return np.where(same, 0.0, egress), np.where(same, 0.0, 8.0 / gbps)


def _network_name(scenario: Scenario, cluster: str) -> str:
    place = scenario.places.get(cluster)
    return place if isinstance(place, str) else cluster


def _distances(jobs: JobTable, scenario: Scenario) -> Floats:
    places = [scenario.places.get(cluster) for cluster in jobs.pool_clusters]
    points = np.radians(
        [place if isinstance(place, tuple) else (np.nan, np.nan) for place in places]
    )
    lat, lon = points[:, 0], points[:, 1]
    half = (
        np.sin((lat[:, None] - lat) / 2) ** 2
        + np.cos(lat[:, None]) * np.cos(lat) * np.sin((lon[:, None] - lon) / 2) ** 2
    )
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(half)), dtype=np.float64)


def _classes(jobs: JobTable, scenario: Scenario) -> npt.NDArray[np.str_]:
    names = sorted(scenario.data_class)
    edges = np.cumsum([scenario.data_class[name] for name in names])
    draws = np.array([_draw(scenario.seed, job_id) for job_id in jobs.job_id.tolist()])
    at = np.minimum(np.searchsorted(edges, draws, side="right"), len(names) - 1)
    return np.array(names)[at]


def _draw(seed: int, job_id: str) -> float:
    digest = hashlib.blake2b(f"{seed}:{job_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _allowed(
    jobs: JobTable, scenario: Scenario, data_class: npt.NDArray[np.str_], *, capacity: Ints
) -> npt.NDArray[np.bool_]:
    pools = range(len(jobs.pool_names))
    by_class = {
        name: np.array(
            [
                [
                    jobs.pool_units[home] == jobs.pool_units[p]
                    and scenario.may_move(name, jobs.pool_clusters[home], jobs.pool_clusters[p])
                    for p in pools
                ]
                for home in pools
            ]
        )
        for name in scenario.data_class
    }
    allowed = np.zeros((len(jobs), len(pools)), dtype=np.bool_)
    for name, table in by_class.items():
        own = data_class == name
        allowed[own] = table[jobs.home[own]]
    return allowed & (jobs.units[:, None] <= capacity)
