"""Loads the demo's rules, weights, links, accelerators, fair shares and services, once."""

import json
import math
from typing import Any

import pandas as pd
from django.conf import settings
from django.core.management.base import BaseCommand

from controlplane.lib import clock
from monitoring import selectors as grid
from scheduling.services.rules import (
    seed_accelerators,
    seed_fair_shares,
    seed_links,
    seed_services,
    seed_sovereignty,
    seed_weights,
)

# one regional network between provinces: great-circle length, a detour, and light in fibre
KM_PER_MS = 100.0
DETOUR = 1.4
BASE_RTT_MS = 2.0
EARTH_KM = 6371.0
# constructed: no trace names its accelerators. Work of the demo asks for none of them, so these
# show in the search for a place and in what-ifs only.
ACCELERATORS = {
    **dict.fromkeys(("beijing-gpu", "shanghai-gpu", "horinger-gpu", "shenzhen-gpu"), "a100"),
    **dict.fromkeys(("hangzhou-gpu", "nanjing-gpu", "wuhan-gpu", "yrd-gpu", "wuhu-gpu"), "v100"),
}
SPEEDS = {("a100", "a100"): 1.0, ("a100", "v100"): 0.5}
# one tenant counts double, so that shares can be seen to differ
FAIR_WEIGHTS = {"vc-412e0f": 2.0, "vc-0a3ae6": 1.0, "vc-d40d8f": 1.0, "vc-c2240d": 1.0}
ASIA = ("asia", "ap-", "japan", "korea", "india", "singapore", "hongkong")


class Command(BaseCommand):
    """`manage.py seed_rules`."""

    help = "Load the demo's rules, weights, links, accelerators, fair shares and services."

    def handle(self, *args: Any, **options: Any) -> None:
        """Load what is missing."""
        seed_sovereignty()
        seed_weights(author="demo")
        seed_links(_links())
        seed_accelerators(ACCELERATORS, SPEEDS, author="demo", now=clock.now())
        seed_fair_shares(FAIR_WEIGHTS, author="demo", now=clock.now())
        seed_services(_services(), now=clock.now())
        self.stdout.write("rules, weights, links and services are in place")


def _services() -> list[dict[str, Any]]:
    text = (settings.FIXTURES_DIR / "services.json").read_text(encoding="utf-8")
    services: list[dict[str, Any]] = json.loads(text)["services"]
    return services


def _links() -> list[dict[str, Any]]:
    """Bandwidth is the median of measured links within one cloud in Asia; delay follows distance.

    No price of data transfer between Chinese provinces is public: the lowest measured one stands
    in, which is also the default of the replay.
    """
    frame = pd.read_parquet(settings.FIXTURES_DIR / "network" / "skyplane_links.parquet")
    in_asia = frame["src"].map(_is_asian) & frame["dst"].map(_is_asian)
    asian = frame[in_asia & (frame["src"] != frame["dst"])]
    clouds = asian["src"].str.split(":").str[0] == asian["dst"].str.split(":").str[0]
    gbps = float(asian[clouds]["gbps"].median())
    egress = float(asian["egress_usd_per_gb"].min())
    regions = grid.regions()
    return [
        {
            "source_region": a.code,
            "destination_region": b.code,
            "egress_usd_per_gb": egress,
            "gbps": gbps,
            "rtt_ms": BASE_RTT_MS + 2.0 * DETOUR * _km(a, b) / (2.0 * KM_PER_MS),
            "basis": "stand-in: Skyplane's Asian links; delay from distance",
        }
        for a in regions
        for b in regions
        if a.code != b.code
    ]


def _is_asian(place: str) -> bool:
    return any(word in place.lower() for word in ASIA)


def _km(a: Any, b: Any) -> float:
    lat_a, lon_a, lat_b, lon_b = map(math.radians, (a.lat, a.lon, b.lat, b.lon))
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(math.sqrt(h))
