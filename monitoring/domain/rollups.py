"""Turns hourly sums into hourly means, and pools into regions and the grid."""

import pandas as pd

HOUR_COLUMNS = (
    "pool",
    "region",
    "hour_at",
    "demand",
    "allocated",
    "queued",
    "capacity",
    "good_share",
    "samples",
)
ENERGY_COLUMNS = (
    "pool",
    "region",
    "hour_at",
    "price_per_unit_h",
    "carbon_g_per_kwh",
    "power_kw",
)


def demand_means(sums: pd.DataFrame) -> pd.DataFrame:
    """Return hourly means of supply and demand.

    Args:
        sums: one row per pool and hour: `pool, region, hour_at, samples, good_samples,
            capacity_sum, allocated_sum, queued_sum`.

    Returns:
        `pool, region, hour_at` (UTC), `demand, allocated, queued, capacity` (units, means over the
        good samples; NaN in an hour without one), `good_share` (0-1) and `samples`, in the
        order of the rows.
    """
    good = sums["good_samples"].where(sums["good_samples"] > 0)
    return pd.DataFrame(
        {
            "pool": sums["pool"],
            "region": sums["region"],
            "hour_at": sums["hour_at"],
            "demand": (sums["allocated_sum"] + sums["queued_sum"]) / good,
            "allocated": sums["allocated_sum"] / good,
            "queued": sums["queued_sum"] / good,
            "capacity": sums["capacity_sum"] / good,
            "good_share": sums["good_samples"] / sums["samples"],
            "samples": sums["samples"],
        },
        columns=list(HOUR_COLUMNS),
    )


def energy_means(sums: pd.DataFrame) -> pd.DataFrame:
    """Return hourly means of price, carbon intensity and power.

    Args:
        sums: one row per pool and hour: `pool, region, hour_at` and the sum and the count of each
            of `price`, `carbon` and `power`.

    Returns:
        `pool, region, hour_at` (UTC), `price_per_unit_h` (USD), `carbon_g_per_kwh`, `power_kw`;
        NaN where nothing was reported, in the order of the rows.
    """
    parts = (("price_per_unit_h", "price"), ("carbon_g_per_kwh", "carbon"), ("power_kw", "power"))
    means = sums[["pool", "region", "hour_at"]].copy()
    for name, part in parts:
        count = sums[f"{part}_samples"]
        total = sums["power_kw_sum" if part == "power" else f"{part}_sum"]
        means[name] = total / count.where(count > 0)
    return means


def add_up_hours(means: pd.DataFrame) -> pd.DataFrame:
    """Return several pools' hourly means as one series.

    Args:
        means: as `demand_means` returns them, all pools that belong together.

    Returns:
        `hour_at, demand, allocated, queued, capacity` (units, over the known pools of the hour)
        and `pools` (how many were known), in order of time.
    """
    known = means.dropna(subset=["demand"])
    grouped = known.groupby("hour_at", sort=True)
    totals = grouped[["demand", "allocated", "queued", "capacity"]].sum()
    totals["pools"] = grouped.size()
    return totals.reset_index()
