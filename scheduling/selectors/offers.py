"""Finds the places where a piece of work could run now: price, carbon, wait, and why not others."""

import datetime as dt
import math
from dataclasses import asdict
from typing import Any

from controlplane.lib.errors import InvalidField
from controlplane.lib.units import HOUR
from monitoring import selectors as grid
from scheduling.domain.offers import WORDS, Candidate, Need, Order, search
from scheduling.domain.sovereignty import Place, rule_on
from scheduling.selectors.limits import speeds
from scheduling.selectors.rules import rules_in_force
from scheduling.selectors.tariffs import energy_prices, network
from scheduling.selectors.waits import waits

AHEAD_H = 48


def offers(
    now: dt.datetime,
    need: Need,
    *,
    data_region: str = "",
    data_class: str = "open",
    requirement: str = "",
    order: Order = Order.PRICE,
) -> dict[str, Any]:
    """This function will rank the pools that can run something, and say why others cannot.

    Args:
        now: grid time.
        need: what is wanted.
        data_region: where the data are; empty: they are wherever it runs.
        data_class: open, internal or restricted.
        requirement: what it asks of an accelerator; empty is any.
        order: what counts first.

    Returns:
        JSON-able `{"as_of", "offers": [...], "refused": [{pool, code, zh, en}]}`.

    Raises:
        InvalidField: there is no such region.
    """
    pools = tuple(sorted(grid.pools(), key=lambda pool: pool.code))
    places = {r.code: Place(r.code, r.jurisdiction) for r in grid.regions()}
    if data_region and data_region not in places:
        raise InvalidField("data_region", "there is no such region")
    price, carbon = energy_prices(pools, now, AHEAD_H)
    net, known, rules = network(), speeds(), rules_in_force().sovereignty
    foreseen = waits(now, units=need.units, requested_h=need.hours)["pools"]
    wait_of = {row["pool"]: row["wait_h"] for row in foreseen}
    candidates = []
    for place, pool in enumerate(pools):
        here = places[pool.region]
        source = places[data_region] if data_region else here
        ruling = rule_on(rules, data_class, source, here)
        is_there = source.region == here.region
        link = net.zones[source.region], net.zones[here.region]
        levels = wait_of[pool.code]
        candidates.append(
            Candidate(
                pool=pool.code,
                region=pool.region,
                most_units=min(pool.installed, pool.contract),
                speed=known.of(requirement, pool.code),
                is_allowed=ruling.is_allowed,
                rule=ruling.rule,
                wait_h=None if None in levels else (levels[0], levels[1], levels[2]),
                price_usd=price[place],
                carbon_kg=carbon[place],
                egress_usd_per_gb=0.0 if is_there else float(net.egress_usd_per_gb[link]),
                transfer_h_per_gb=0.0 if is_there else float(net.transfer_h_per_gb[link]),
            )
        )
    found, refused = search(need, candidates, order)
    units = {pool.code: pool.unit for pool in pools}
    return {
        "as_of": now.isoformat(),
        "offers": [
            _rounded(asdict(offer))
            | {
                "unit": units[offer.pool],
                "accelerator": known.accelerators.get(offer.pool, ""),
                "starts_at": [(now + hours * HOUR).isoformat() for hours in offer.starts_h],
                "ends_at": (now + offer.ends_h * HOUR).isoformat(),
            }
            for offer in found
        ],
        "refused": [
            {"pool": pool, "code": code} | dict(zip(("zh", "en"), WORDS[code], strict=True))
            for pool, code in refused.items()
        ],
    }


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) and math.isfinite(value) else value
        for name, value in row.items()
    }
