"""Pushes a running grid with a multiple of what it can take, and holds it to what it promises.

    python benchmarks/overload.py [--seconds 300] [--factor 3] [--kill-every-s 20] [--json FILE]

The whole stack runs as `make up` runs it, without simulated providers, in real time. First it is
pushed as hard as it answers, which gives the full rate; then for a time at a fixed multiple of
that rate, whatever it answers; then as hard as it answers again. Meanwhile an operator's page and
a small read are asked for on connections of their own. With `--kill-every-s` a process of the web,
PostgreSQL, the worker or Valkey is ended with SIGKILL each so many seconds, by a seed; `--kills`
says how many, and so how long it takes.

Each sample is unique and can be computed from its name, so that afterwards everything that is
stored is held against what was sent and what was acknowledged. Ends with 1 when a promise was
broken. Proves the crash of processes, not the loss of power.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import overload_load as load
import pandas as pd
import rig

from controlplane.runtime import procfs
from tests.runtime.conftest import empty_grid
from tests.runtime.set_stack import SENDERS

TARGETS = ("web", "postgres", "worker", "valkey")
READY_WITHIN_S = 180.0
FULL_RATE_S = 12.0
WARM_S = 4.0
RECOVERY_S = 60.0
WINDOW_S = 5.0
SHED_CODES = ("provider-busy", "grid-busy", "database-away")
MIB = 2**20


@dataclass
class Watch:
    """Asks for pages and reads the web's memory until it is told to stop."""

    grid: object
    cookie: dict
    pages: dict = field(default_factory=dict)
    failed: Counter = field(default_factory=Counter)
    most_bytes: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)
    _threads: list = field(default_factory=list)

    def __enter__(self):
        looks = {"page": "/grid/", "read": "/api/v1/telemetry/newest"}
        self._threads = [
            threading.Thread(target=self._look, args=pair, daemon=True) for pair in looks.items()
        ]
        self._threads.append(threading.Thread(target=self._weigh, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join(30)

    def _look(self, name, path):
        took = self.pages.setdefault(name, [])
        while not self._ending.wait(0.25):
            began = time.perf_counter()
            try:
                status, _ = load.get(self.grid.port, path, self.cookie)
            except OSError:
                self.failed[name] += 1
                continue
            took.append(time.perf_counter() - began)
            if status != 200:
                self.failed[f"{name} {status}"] += 1

    def _weigh(self):
        while not self._ending.wait(0.5):
            self.most_bytes = max(self.most_bytes, web_bytes(self.grid))


def web_bytes(grid):
    """Return the resident memory of all processes of the web; 0 while there is none."""
    pages = 0
    try:
        head = grid.pid("web")
        for pid in (head, *procfs.descendants(head)):
            pages += int(Path("/proc", str(pid), "statm").read_text().split()[1])
    except (OSError, KeyError, TypeError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def run_phase(plan, seconds, *, rate=None, during=None):
    """Push for a time in a process of its own; return what became of it."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=load.run, args=(plan, seconds, rate, results), daemon=True)
    process.start()
    if during is not None:
        during(seconds)
    found = results.get(timeout=seconds + 120)
    process.join()
    return found


def kill_now_and_then(grid, options, kills):
    """Return what ends a process each so many seconds."""
    chosen = random.Random(options.seed)

    def during(seconds):
        until, order = time.monotonic() + seconds, []
        while time.monotonic() + options.kill_every_s < until:
            time.sleep(options.kill_every_s)
            order = order or chosen.sample(TARGETS, k=len(TARGETS))
            target = order.pop()
            child = grid.children().get(target, {})
            if child.get("state") not in ("ready", "starting") or not child.get("pid"):
                continue
            below = procfs.descendants(child["pid"])
            victims = [child["pid"], *chosen.sample(below, k=min(1, len(below)))]
            os.kill(chosen.choice(victims), signal.SIGKILL)
            kills[target] += 1

    return during


def recovered_after_s(found, full_rate):
    """Return when the acknowledged rows of a window first reached nine tenths of the full rate."""
    ends = np.sort(np.array(found["acknowledged_at_s"]))
    for start in np.arange(0.0, RECOVERY_S, 0.5):
        inside = np.searchsorted(ends, [start, start + WINDOW_S])
        if (inside[1] - inside[0]) * found["rows"] / WINDOW_S >= 0.9 * full_rate:
            return float(start)
    return None


def read_back(grid):
    """Return every stored sample: pool, time in ms, figures."""
    path = grid.root.parent / "stored.csv"
    grid.sql(
        "\\copy (SELECT p.code, round(extract(epoch FROM s.measured_at) * 1000)::int8, s.capacity,"
        " s.allocated, s.queued FROM monitoring_sample s JOIN monitoring_pool p"
        f" ON p.id = s.pool_id) TO '{path}' CSV"
    )
    return pd.read_csv(path, names=["pool", "ms", "capacity", "allocated", "queued"])


def check_stored(stored, plans, phases):
    """Hold what is stored against what was sent; return counts of what is wrong."""
    key = {"stored_twice": int(stored.duplicated(["pool", "ms"]).sum())}
    sent = pd.concat(
        [load.sent_frame(plan, found) for plan, found in zip(plans, phases, strict=True)]
    )
    both = sent.merge(stored, on=["pool", "ms"], how="outer", suffixes=("", "_stored"))
    is_sent, is_stored = both["capacity"].notna(), both["capacity_stored"].notna()
    same = is_sent & is_stored
    for name in ("capacity", "allocated", "queued"):
        same &= both[name] == both[f"{name}_stored"]
    key["lost_acknowledged"] = int((both["is_acknowledged"].eq(1.0) & ~is_stored).sum())
    key["unexplained"] = int((is_stored & ~same).sum())
    key["stored"], key["sent"] = len(stored), len(sent)
    return key


def accounts(grid):
    """Return each provider's account, and the requests of it that were turned away."""
    names = "received, accepted, duplicate, conflict, rejected, shed"
    lines = grid.sql(f"SELECT provider_id, {names} FROM monitoring_providertally").splitlines()
    return {name: list(map(int, rest)) for name, *rest in (line.split("|") for line in lines)}


def shed_counted(grid, phases, *, within_s=20.0):
    """Return requests turned away as the senders saw it and as the grid counts it."""
    seen = sum(found["codes"].get(code, 0) for found in phases for code in SHED_CODES)
    until, counted = time.monotonic() + within_s, -1
    while counted != seen and time.monotonic() < until:
        time.sleep(1.0)
        counted = sum(account[5] for name, account in accounts(grid).items() if name in SENDERS)
    return seen, counted


def quantiles(took):
    """Return the median, the 95th percentile and the longest (s)."""
    if not took:
        return {}
    ordered = sorted(took)
    figures = statistics.median(ordered), ordered[int(0.95 * len(ordered))], ordered[-1]
    return {
        **dict(zip(("median_s", "p95_s", "longest_s"), figures, strict=True)),
        "count": len(took),
    }


def drill(grid, options):
    """Run the three phases and return all figures."""
    grid.program = (str(rig.PROJECT / "tests" / "runtime" / "set_stack.py"),)
    grid.start(TIAODU_CLOCK_RATE="1").wait_ready(within_s=READY_WITHIN_S)
    cookie = load.log_in(grid.port, grid.folder.secret("demo_password").read_text().strip())
    plans = load.make_plans(grid, options, phases=4)
    run_phase_of = dict(zip(("warm", "full", "over", "again"), plans, strict=True))
    warm = run_phase(run_phase_of["warm"], WARM_S)
    full = run_phase(run_phase_of["full"], FULL_RATE_S)
    full_rate = len(full["acknowledged_at_s"]) * full["rows"] / FULL_RATE_S
    bytes_before, kills = web_bytes(grid), Counter()
    during = kill_now_and_then(grid, options, kills) if options.kill_every_s else None
    rate = options.factor * full_rate / options.rows
    with Watch(grid, cookie) as watch:
        over = run_phase(run_phase_of["over"], options.seconds, rate=rate, during=during)
    grid.wait_ready(within_s=RECOVERY_S)
    again = run_phase(run_phase_of["again"], RECOVERY_S / 2)
    phases = [warm, full, over, again]
    seen, counted = shed_counted(grid, phases)
    return {
        "load": os.getloadavg()[0],
        "full_rate_rows_s": full_rate,
        "offered_rows_s": over["tries"] * options.rows / options.seconds,
        "acknowledged_rows_s": len(over["acknowledged_at_s"]) * options.rows / options.seconds,
        "answers": over["codes"],
        "retry_after_s": over["retry_after"],
        "refused_in": quantiles(over["refused_in_s"]),
        **{name: quantiles(took) for name, took in watch.pages.items()},
        "pages_failed": dict(watch.failed),
        "memory_before_mib": bytes_before / MIB,
        "memory_grown_mib": (watch.most_bytes - bytes_before) / MIB,
        "full_rate_after_s": recovered_after_s(again, full_rate),
        "kills": dict(kills),
        "shed_seen": seen,
        "shed_counted": counted,
        "accounts": accounts(grid),
        **check_stored(read_back(grid), plans, phases),
    }


def broken(found, *, has_kills):
    """Return the promises that were broken, in words."""
    after_s, shed = found["full_rate_after_s"], found["shed_seen"]
    rules = {
        "an acknowledged sample is lost": found["lost_acknowledged"],
        "a sample is stored that nobody sent": found["unexplained"] + found["stored_twice"],
        "the web grew by 256 MiB": found["memory_grown_mib"] >= 256,
        "95 of 100 pages took longer than a second": found["page"].get("p95_s", 9.0) >= 1.0,
        "no full rate within a minute": after_s is None,
        "a refusal without Retry-After": found["retry_after_s"].get("none", 0),
        "all refusals name the same wait": shed > 50 and len(found["retry_after_s"]) < 3,
        "an account does not add up": any(a[0] != sum(a[1:]) for a in found["accounts"].values()),
        # what a killed process had counted and not yet written down is gone with it
        "a refusal was not counted": not has_kills and shed != found["shed_counted"],
        "nothing was turned away": not shed,
    }
    return [words for words, is_so in rules.items() if is_so]


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--factor", type=float, default=3.0)
    parser.add_argument("--rows", type=int, default=20, help="samples a request")
    parser.add_argument("--kill-every-s", type=float, default=0.0)
    parser.add_argument("--kills", type=int, help="so many, whatever time they take")
    parser.add_argument("--seed", type=int, default=20230526)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.kills:
        options.kill_every_s = options.kill_every_s or 20.0
        options.seconds = (options.kills + 1) * options.kill_every_s
    with empty_grid() as grid:
        found = drill(grid, options)
    for name, figure in found.items():
        print(f"{name:22s} {figure:,.4g}" if isinstance(figure, float) else f"{name:22s} {figure}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    wrong = broken(found, has_kills=bool(options.kill_every_s))
    for words in wrong:
        print(f"BROKEN: {words}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
