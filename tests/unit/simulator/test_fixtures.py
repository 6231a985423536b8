import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
ATTRIBUTED = ("helios_earth", "philly", "surf_lisa", "energy", "network", "china")


@pytest.fixture(scope="module")
def grid():
    return json.loads((FIXTURES / "grid.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def provinces():
    return json.loads((FIXTURES / "china" / "provinces.geojson").read_text(encoding="utf-8"))


def rings(feature):
    return [ring for polygon in feature["geometry"]["coordinates"] for ring in polygon]


def test_the_inventory_refers_only_to_what_it_lists(grid):
    regions = {region["code"] for region in grid["regions"]}
    providers = {provider["code"] for provider in grid["providers"]}
    sites = {site["code"]: site for site in grid["sites"]}

    assert (len(regions), len(providers), len(sites), len(grid["pools"])) == (34, 6, 16, 17)
    assert {site["region"] for site in sites.values()} <= regions
    assert {site["provider"] for site in sites.values()} == providers
    assert {pool["site"] for pool in grid["pools"]} == set(sites)
    assert len({pool["code"] for pool in grid["pools"]}) == 17


def test_ten_hubs_and_six_metros_are_placed(grid):
    hubs = [site for site in grid["sites"] if site["is_hub"]]

    assert len(hubs) == 10
    assert all(site["pue"] <= 1.25 for site in hubs)
    assert {site["pue"] for site in grid["sites"] if not site["is_hub"]} == {1.35}


def test_each_region_of_the_map_is_a_region_of_the_inventory(grid, provinces):
    drawn = {feature["properties"]["code"] for feature in provinces["features"]}

    assert drawn == {region["code"] for region in grid["regions"]}
    assert {"CN-HK", "CN-MO", "CN-TW"} <= drawn


def test_factors_are_known_or_said_to_be_unknown(grid):
    unknown = {r["code"] for r in grid["regions"] if r["carbon_g_per_kwh"] is None}

    assert unknown == {"CN-HK", "CN-MO", "CN-TW", "CN-XZ"}
    assert {r["carbon_basis"] for r in grid["regions"]} == {"MEE 2022 yearly constant", None}


def test_each_site_stands_in_its_region(grid, provinces):
    outlines = {f["properties"]["code"]: rings(f) for f in provinces["features"]}

    def contains(ring, lon, lat):
        crossings = sum(
            (ay > lat) != (by > lat) and lon < ax + (lat - ay) / (by - ay) * (bx - ax)
            for (ax, ay), (bx, by) in pairwise(ring)
        )
        return crossings % 2 == 1

    for site in grid["sites"]:
        inside = any(contains(ring, site["lon"], site["lat"]) for ring in outlines[site["region"]])
        assert inside, site["code"]


def test_rings_are_closed_clockwise_and_have_an_area(provinces):
    for feature in provinces["features"]:
        for ring in rings(feature):
            twice_area = sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairwise(ring))
            assert ring[0] == ring[-1]
            assert len(ring) >= 4
            assert twice_area < 0


def test_neighbors_share_their_border_point_by_point(provinces):
    edges = {}
    for feature in provinces["features"]:
        for ring in rings(feature):
            for a, b in pairwise(ring):
                edges[tuple(a), tuple(b)] = feature["id"]

    shared = {
        (owner, edges[b, a]) for (a, b), owner in edges.items() if edges.get((b, a), owner) != owner
    }

    assert {
        ("CN-SC", "CN-CQ"),
        ("CN-GD", "CN-GX"),
        ("CN-NM", "CN-NX"),
        ("CN-BJ", "CN-HE"),
    } <= shared
    inner = [edge for edge in edges if (edge[1], edge[0]) in edges]
    assert len(inner) > 0.5 * len(edges)


def test_the_fixtures_stay_small():
    total = sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file())
    packed = gzip.compress((FIXTURES / "china" / "provinces.geojson").read_bytes())

    assert total < 15_000_000
    assert len(packed) < 60_000


@pytest.mark.parametrize("folder", ATTRIBUTED)
def test_each_folder_has_a_license_and_an_attribution(folder):
    names = [path.name for path in (FIXTURES / folder).iterdir()]

    assert any(name.startswith("LICENSE") for name in names)
    assert "ATTRIBUTION.md" in names
