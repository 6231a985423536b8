"""Lost acknowledged = 0, unexplained = 0: true servers, true senders, and a nemesis that kills.

Each sample is unique and remembered when it is sent and again when it is acknowledged. While
senders of every format push, a seeded nemesis ends processes of the web, PostgreSQL, the worker
and Valkey with SIGKILL. Afterwards everything is read back and held against the senders' sets.
This proves the crash of processes; it does not prove the loss of power.

`TIAODU_NEMESIS_S` makes it longer (60 s unless said), `TIAODU_NEMESIS_KILLS` lets it go on until
so many processes were killed, `TIAODU_NEMESIS_SEED` makes it another one. `TIAODU_DRILL_S` and
`TIAODU_DRILL_KILL_S` say how long more is pushed than fits while processes are killed, and how
often: 300 and 20 for the whole drill.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controlplane.runtime import procfs
from tests.runtime.conftest import empty_grid, wait_until
from tests.runtime.set_senders import FORMATS, Sender
from tests.runtime.set_stack import SENDERS

NEMESIS_S = float(os.environ.get("TIAODU_NEMESIS_S", "60"))
KILLS = int(os.environ.get("TIAODU_NEMESIS_KILLS", "0"))
SEED = int(os.environ.get("TIAODU_NEMESIS_SEED", "20230526"))
DRILL_S = float(os.environ.get("TIAODU_DRILL_S", "16"))
DRILL_KILL_S = float(os.environ.get("TIAODU_DRILL_KILL_S", "4"))
TWO_AT_ONCE_SHARE = 0.2
LONGEST_CALM_S = 6.0
CALM_SAMPLES = 200
TARGETS = ("web", "postgres", "worker", "valkey")
GRACE_S = 60.0
CROWD = 12
SHED_CODES = ("provider-busy", "grid-busy", "database-away")
OVERLOAD_S = 8.0
# a page waits for nothing but its turn; the rest is room for a machine that does other work too
LONGEST_PAGE_S = 5.0
START_WITHIN_S = 150.0
LONGEST_RECOVERY_S = 60.0
SETTLED_S = 8.0
# a kill waits for traffic, and a part for its start
LONGEST_KILL_S = 12.0
RAGE_S = max(NEMESIS_S, KILLS * LONGEST_KILL_S)

pytestmark = [
    pytest.mark.supervisor,
    pytest.mark.slow,
    pytest.mark.timeout(RAGE_S + DRILL_S + GRACE_S + START_WITHIN_S + 120),
]


@dataclass
class Stand:
    """A running grid, and everybody who ever sent to it."""

    grid: Any
    first_second: int
    pools: dict
    senders: list = field(default_factory=list)

    def send(self, provider, form, *, offset_s=0.0, **more):
        """Make one more sender, whose samples lie beside all others."""
        pool = self.pools[provider]
        sender = Sender(
            port=self.grid.port,
            provider=provider,
            pool=pool["code"],
            key=(self.grid.folder.run / "keys" / provider).read_text(),
            form=form,
            first_second=self.first_second + offset_s,
            capacity=float(pool["contract"]),
            seed=SEED + len(self.senders),
            **more,
        )
        self.senders.append(sender)
        return sender


def end(senders, *, within_s):
    """Let senders bring home what they have begun."""
    for sender in senders:
        sender.ending.set()
        sender.deadline_s = time.monotonic() + within_s
    for sender in senders:
        if sender.ident is not None:
            sender.join(within_s + 30)


@pytest.fixture(scope="module")
def stand():
    inventory = json.loads(Path("fixtures/grid.json").read_text(encoding="utf-8"))
    sites = {site["code"]: site["provider"] for site in inventory["sites"]}
    pools = {sites[pool["site"]]: pool for pool in inventory["pools"]}
    with empty_grid() as grid:
        grid.program = (str(Path(__file__).with_name("set_stack.py")),)
        grid.start(TIAODU_CLOCK_RATE="1").wait_ready(within_s=START_WITHIN_S)
        made = Stand(grid, int(grid.clock_s()) - 20 * 3600, pools)
        yield made
        end(made.senders, within_s=0.0)


class Nemesis:
    """Ends processes of one part at a time, now and then of two, by a seed, amid traffic."""

    def __init__(self, grid, senders):
        self.grid, self.senders = grid, senders
        self.kills = Counter()
        self._random = random.Random(SEED)  # noqa: S311 (no secret)

    def rage(self, seconds, *, kills=0):
        """Kill for a time or so many times, each part as often as the others."""
        began = time.monotonic()
        until = began + (max(seconds, kills * LONGEST_KILL_S) if kills else seconds)
        while time.monotonic() < until:
            for target in self._random.sample(TARGETS, k=len(TARGETS)):
                self._await_traffic(until)
                is_enough = kills and self.kills.total() >= kills
                if time.monotonic() > until or (is_enough and time.monotonic() > began + seconds):
                    return
                self._kill(target)
                if self._random.random() < TWO_AT_ONCE_SHARE:
                    self._kill(self._random.choice(TARGETS))

    def strike(self, seconds, *, each_s):
        """Kill one process each so many seconds."""
        until, order = time.monotonic() + seconds, []
        while time.monotonic() + each_s < until:
            time.sleep(each_s)
            order = order or self._random.sample(TARGETS, k=len(TARGETS))
            self._kill(order.pop())

    def _await_traffic(self, until):
        # a kill amid requests says more than one while nothing works
        before = sum(len(sender.acknowledged) for sender in self.senders)
        until = min(until, time.monotonic() + LONGEST_CALM_S)
        while time.monotonic() < until:
            time.sleep(self._random.uniform(0.02, 0.4))
            if sum(len(sender.acknowledged) for sender in self.senders) > before + CALM_SAMPLES:
                return

    def _kill(self, target):
        child = self.grid.children().get(target, {})
        if child.get("state") not in ("ready", "starting") or not child.get("pid"):
            return
        # now its head, now one of the processes below it
        below = procfs.descendants(child["pid"])
        victims = [child["pid"], *self._random.sample(below, k=min(1, len(below)))]
        try:
            os.kill(self._random.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[target] += 1

    def account(self, seconds):
        """Say what was killed, for the record."""
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return f"\n{self.kills.total()} kills in {seconds:.0f} s ({kills}), seed {SEED}\n"


def read_back(grid):
    """Return every stored sample: (pool, second) -> figures."""
    stored = {}
    for line in grid.sql(
        "SELECT p.code, extract(epoch FROM s.measured_at)::float8, s.capacity, s.allocated,"
        " s.queued FROM monitoring_sample s JOIN monitoring_pool p ON p.id = s.pool_id"
    ).splitlines():
        pool, second, *figures = line.split("|")
        key = (pool, round(float(second), 2))
        assert key not in stored, f"{key} is stored twice"
        stored[key] = tuple(map(float, figures))
    return stored


def numbers(grid, statement):
    return {
        name: tuple(int(value) for value in values)
        for name, *values in (line.split("|") for line in grid.sql(statement).splitlines())
    }


def test_what_was_acknowledged_is_there_and_nothing_else(stand, capsys):
    senders = [stand.send(provider, form) for provider, form in zip(SENDERS, FORMATS, strict=True)]
    nemesis = Nemesis(stand.grid, senders)
    for sender in senders:
        sender.start()

    began = time.monotonic()
    nemesis.rage(NEMESIS_S, kills=KILLS)
    raged_s = time.monotonic() - began
    stand.grid.wait_ready(within_s=GRACE_S)
    end(senders, within_s=GRACE_S)

    stored = read_back(stand.grid)
    with capsys.disabled():
        sys.stdout.write(
            nemesis.account(raged_s) + account_of(senders, stored, stand.grid.sql(_AGAIN))
        )
    assert nemesis.kills.total() >= max(NEMESIS_S / 8, KILLS)
    assert set(nemesis.kills) == set(TARGETS)
    assert all(sender.acknowledged for sender in senders)
    check_sets(stand, stored)
    check_accounts(stand, stored)


def test_more_than_fits_is_turned_away_aloud_and_all_is_well_afterwards(stand, capsys):
    crowd = [
        stand.send(provider, "json", offset_s=(number + 1) / 100, rows_a_batch=50, pause_s=0.0)
        for provider in SENDERS
        for number in range(CROWD)
    ]
    memory_before = web_memory(stand.grid)
    shed_before = settled_shed(stand.grid)
    for sender in crowd:
        sender.start()

    pages_s = look_at_pages(stand.grid, OVERLOAD_S)
    memory_grown = web_memory(stand.grid) - memory_before
    end(crowd, within_s=GRACE_S)
    began = time.monotonic()
    late = stand.send(SENDERS[0], "json", offset_s=0.9)
    late.start()
    wait_until(lambda: late.acknowledged, what="a push that gets through", within_s=10.0)
    recovered_s = time.monotonic() - began
    end([late], within_s=GRACE_S)

    turned_away = Counter()
    for sender in [*crowd, late]:
        turned_away[sender.provider] += sum(sender.turned_away[code] for code in SHED_CODES)
    expected = {name: shed_before.get(name, 0) + count for name, count in turned_away.items()}
    codes = sum((sender.turned_away for sender in crowd), Counter())
    assert settled_shed(stand.grid) == expected, codes
    pages_s.sort()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(crowd)} senders for {OVERLOAD_S:.0f} s: {sum(s.tries for s in crowd)} pushes,"
            f" {sum(turned_away.values())} turned away and counted {dict(codes)}; a page took"
            f" {pages_s[len(pages_s) // 2]:.2f} s (median), {pages_s[-1]:.2f} s (longest of"
            f" {len(pages_s)}); memory grew by {memory_grown / 2**20:.0f} MiB; the next push got"
            f" through after {recovered_s:.2f} s\n"
        )
    assert sum(turned_away.values()) > 0
    assert memory_grown < 256 * 2**20
    assert pages_s[-1] < LONGEST_PAGE_S
    stored = read_back(stand.grid)
    check_sets(stand, stored)
    check_accounts(stand, stored)


def test_more_than_fits_while_processes_are_killed_loses_nothing(stand, capsys):
    crowd = [
        stand.send(provider, "json", offset_s=0.2 + number / 100, rows_a_batch=50, pause_s=0.0)
        for provider in SENDERS
        for number in range(CROWD)
    ]
    nemesis = Nemesis(stand.grid, crowd)
    memory_before, pages = web_memory(stand.grid), []
    striking = threading.Thread(
        target=nemesis.strike, args=(DRILL_S,), kwargs={"each_s": DRILL_KILL_S}
    )
    for thread in (*crowd, striking):
        thread.start()

    until = time.monotonic() + DRILL_S
    while time.monotonic() < until:
        pages.append(look_once(stand.grid))
        time.sleep(0.2)
    striking.join()
    began = time.monotonic()
    stand.grid.wait_ready(within_s=GRACE_S)
    memory_grown = web_memory(stand.grid) - memory_before
    end(crowd, within_s=GRACE_S)
    late = stand.send(SENDERS[0], "json", offset_s=0.95)
    late.start()
    wait_until(lambda: late.acknowledged, what="a push that gets through", within_s=GRACE_S)
    recovered_s = time.monotonic() - began
    end([late], within_s=GRACE_S)

    answered = sorted(took for took, is_answered in pages if is_answered)
    tries, refused = sum(s.tries for s in crowd), sum((s.turned_away for s in crowd), Counter())
    page_s = answered[int(0.95 * len(answered))]
    with capsys.disabled():
        sys.stdout.write(
            f"{nemesis.account(DRILL_S)}  {len(crowd)} senders, {tries} pushes, turned away"
            f" {dict(refused)}; {len(answered)} of {len(pages)} pages answered, 95 of 100 within"
            f" {page_s:.2f} s; memory grew by {memory_grown / 2**20:.0f} MiB; a push got through"
            f" after {recovered_s:.1f} s\n"
        )
    assert nemesis.kills.total() >= DRILL_S / DRILL_KILL_S / 2
    assert page_s < LONGEST_PAGE_S
    assert memory_grown < 256 * 2**20
    assert recovered_s < LONGEST_RECOVERY_S
    stored = read_back(stand.grid)
    check_sets(stand, stored)
    check_accounts(stand, stored)


def look_once(grid):
    """Open the login page; return how long it took (s) and whether it was there."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{grid.port}/login/", timeout=30) as answer:
            is_answered = answer.status == 200
    except OSError:
        # the web itself was killed, or the database that it asks
        is_answered = False
    return time.monotonic() - began, is_answered


def look_at_pages(grid, seconds):
    """Open the login page again and again; return how long each took (s)."""
    took, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{grid.port}/login/", timeout=30) as answer:
            assert answer.status == 200
        took.append(time.monotonic() - began)
        time.sleep(0.1)
    return took


def web_memory(grid):
    """Return the resident memory of all processes of the web (bytes)."""
    head = grid.pid("web")
    pages = [
        int(Path("/proc", str(pid), "statm").read_text().split()[1])
        for pid in (head, *procfs.descendants(head))
    ]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def shed_of(grid):
    """Return how many pushes of each provider were turned away, as the grid counts."""
    counted = numbers(grid, "SELECT provider_id, shed FROM monitoring_providertally")
    return {name: shed for name, (shed,) in counted.items() if name in SENDERS}


def settled_shed(grid):
    """Return the same once nothing more is written down: that happens every few seconds."""
    counted, since = shed_of(grid), time.monotonic()
    while time.monotonic() < since + SETTLED_S:
        time.sleep(0.5)
        if (again := shed_of(grid)) != counted:
            counted, since = again, time.monotonic()
    return counted


def check_sets(stand, stored):
    """Hold what is stored against what everybody sent and was promised."""
    sent = {key: figures for sender in stand.senders for key, figures in sender.sent.items()}
    acknowledged = {key for sender in stand.senders for key in sender.acknowledged}
    assert [fault for sender in stand.senders for fault in sender.faults] == []
    lost = acknowledged - stored.keys()
    assert sorted(lost)[:10] == []
    unexplained = {key for key, figures in stored.items() if sent.get(key) != figures}
    assert sorted(unexplained)[:10] == []


def check_accounts(stand, stored):
    """Hold the derived tables against the samples: the same transaction keeps them.

    Under kill, a provider's own count of what it pushed may be above what the grid counted: a
    request whose transaction never ended was never received. What the grid did count adds up,
    and exactly what it calls accepted is there.
    """
    grid = stand.grid
    accounts = numbers(
        grid,
        "SELECT provider_id, received, accepted, duplicate, conflict, rejected, shed"
        " FROM monitoring_providertally",
    )
    for provider, form in zip(SENDERS, FORMATS, strict=True):
        received, accepted, duplicate, conflict, rejected, shed = accounts[provider]
        assert (conflict, rejected) == (0, 0)
        assert received == accepted + duplicate + shed
        pool = stand.pools[provider]["code"]
        mine = [key for key in stored if key[0] == pool]
        if form in ("json", "arrow"):
            assert accepted == len(mine)
        newest = figures_of(grid, pool, _NEWEST)
        assert newest == (max(second for _, second in mine),)
        good = figures_of(grid, pool, _GOOD_SUMS)
        assert figures_of(grid, pool, _HOUR_SUMS) == (len(mine), *good)


def figures_of(grid, pool, statement):
    """Return the figures that a statement has for one pool."""
    return tuple(map(float, grid.sql(statement.replace("POOL", pool)).split("|")))


_NEWEST = """
SELECT extract(epoch FROM s.measured_at) FROM monitoring_poolstate s
  JOIN monitoring_pool p ON p.id = s.pool_id WHERE p.code = 'POOL'
"""
_GOOD_SUMS = """
SELECT count(*), coalesce(sum(s.capacity), 0), coalesce(sum(s.allocated), 0),
       coalesce(sum(s.queued), 0)
  FROM monitoring_sample s JOIN monitoring_pool p ON p.id = s.pool_id
 WHERE p.code = 'POOL' AND s.quality = 0
"""
_HOUR_SUMS = """
SELECT sum(h.samples), sum(h.good_samples), sum(h.capacity_sum), sum(h.allocated_sum),
       sum(h.queued_sum)
  FROM monitoring_poolhour h JOIN monitoring_pool p ON p.id = h.pool_id WHERE p.code = 'POOL'
"""
_AGAIN = "SELECT sum(duplicate) FROM monitoring_providertally"


def account_of(senders, stored, again):
    """Say what became of what was sent, for the record."""
    lines = [f"  {again} samples came again after an answer that was lost"]
    for sender in senders:
        mine = len(sender.sent.keys() & stored.keys())
        lines.append(
            f"  {sender.form:15} sent {len(sender.sent):6}  acknowledged"
            f" {len(sender.acknowledged):6}  stored {mine:6}  requests {sender.tries}"
            f" (not answered or refused {sender.refused}, given up {sender.given_up} samples)"
        )
    return "\n".join([*lines, ""])
