"""Measures telemetry through the HTTP application: samples per second, committed and deduplicated.

Makes a database of its own in the server that DATABASE_URL names and removes it again; without
DATABASE_URL it starts the tests' server, which does not wait for the disk (`fsync=off`).
"""

import argparse
import datetime as dt
import importlib
import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

POOLS = 500
SHAPES = (("rows", 17), ("rows", 1_000), ("rows", 10_000), ("columns", 1_000), ("columns", 10_000))


@contextmanager
def database_server():
    if os.environ.get("DATABASE_URL"):
        yield
        return
    server = importlib.import_module("tests.plugins.embedded_postgres").Server()
    try:
        os.environ["DATABASE_URL"] = server.start()
        yield
    finally:
        server.stop()


def inventory():
    region = {"code": "CN-BJ", "name_zh": "北京", "name_en": "Beijing", "lat": 40.0, "lon": 116.0}
    region |= {"jurisdiction": "CN", "carbon_g_per_kwh": None, "carbon_basis": None}
    site = {"code": "s", "name_zh": "s", "name_en": "s", "provider": "p", "region": "CN-BJ"}
    site |= {"lat": 40.0, "lon": 116.0, "is_hub": False, "hub_zh": None, "hub_en": None}
    site |= {"pue": 1.3, "energy_zone": ""}
    pool = {"site": "s", "unit": "gpu", "installed": 512, "contract": 512, "kw_per_unit": 0.4}
    return {
        "regions": [region],
        "providers": [{"code": "p", "name_zh": "p", "name_en": "p"}],
        "sites": [site],
        "pools": [{"code": f"p{number}-gpu", **pool} for number in range(POOLS)],
    }


def body_of(shape, size, first, now):
    rows = []
    for number in range(first, first + size):
        tick, pool = divmod(number, POOLS)
        moment = now - dt.timedelta(hours=20) + dt.timedelta(seconds=15 * tick)
        row = {"pool": f"p{pool}-gpu", "measured_at": moment.isoformat(), "capacity": 512}
        row |= {"allocated": number % 400, "queued": number % 90, "unavailable": 0}
        row |= {"power_kw": 104.5, "price_per_unit_h": 0.031, "carbon_g_per_kwh": 558.0}
        rows.append(row)
    if shape == "columns":
        return json.dumps({"columns": {name: [row[name] for row in rows] for name in rows[0]}})
    return json.dumps({"samples": rows})


def push(client, headers, body):
    answer = client.post(
        "/api/v1/telemetry", body, content_type="application/json", headers=headers
    )
    if answer.status_code != 200:
        raise SystemExit(f"refused: {answer.content[:300]!r}")
    return answer.json()


def measure(send, shape, size, first, seconds, now):
    spent, sent, latencies, body = 0.0, 0, [], ""
    while spent < seconds:
        body = body_of(shape, size, first + sent, now)
        started = time.perf_counter()
        if send(body)["accepted"] != size:
            raise SystemExit("not everything was new")
        latencies.append(time.perf_counter() - started)
        spent, sent = spent + latencies[-1], sent + size
    again = time.perf_counter()
    if send(body)["duplicate"] != size:
        raise SystemExit("not everything was known")
    again = time.perf_counter() - again
    latencies.sort()
    return {
        "shape": shape,
        "samples_per_request": size,
        "samples_per_s": round(sent / spent),
        "request_ms_median": round(1e3 * latencies[len(latencies) // 2], 1),
        "duplicate_request_ms": round(1e3 * again, 1),
        "samples": sent,
    }


def run(seconds):
    # Django's parts can be imported only when the settings can be read
    connection = importlib.import_module("django.db").connection
    services = importlib.import_module("monitoring.services")
    now = importlib.import_module("controlplane.lib.clock").now()
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        services.register_inventory(inventory(), engines={})
        services.keep_partitions(now)
        key = importlib.import_module("controlplane.auth.keys").issue_key("p", actor="system")
        client = importlib.import_module("django.test").Client()

        def send(body):
            return push(client, {"Authorization": f"Bearer {key}"}, body)

        send(json.dumps({"samples": []}))  # the first request imports every route
        results, first = [], 0
        for shape, size in SHAPES:
            results.append(measure(send, shape, size, first, seconds, now))
            first += results[-1]["samples"]
            print("  ".join(f"{key}={value}" for key, value in results[-1].items()))
        with connection.cursor() as cursor:
            cursor.execute("SHOW fsync")
            print(f"fsync={cursor.fetchone()[0]}")
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per shape")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with database_server():
        django.setup()
        results = run(options.seconds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
