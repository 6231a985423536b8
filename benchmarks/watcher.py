"""Plans the scenarios of OpenStack Watcher's tests with Tiaodu's planner and with Watcher itself.

    python benchmarks/watcher.py --data FOLDER [--peer PYTHON] [--generate 20x200 …] [--json OUT]

FOLDER holds `scenario_*.xml` (in the python-watcher wheel: `watcher/tests/unit/decision_engine/
model/data`). PYTHON is that of an environment into which python-watcher is installed; without it
only ours runs, and the table says so. Watcher is no dependency of the product.

Two questions are asked. *Balance*: even CPU use of hosts; told are the standard deviation of use
before and after, and the moves. *Consolidate*: as few hosts as possible; told are hosts in use.
Both answers are judged by the same referee, `faults`, which knows neither planner: an instance may
not come to a host that is off or disabled, may not move when excluded, and a host that gained
instances may not pass its CPUs in real use, its memory or its disk.

Loads are not in the scenarios. Each instance uses between 10 and 100 % of its CPUs, drawn from its
name, and Watcher is told the same.
"""

import argparse
import datetime as dt
import hashlib
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scheduling.domain.planner import checks, solver
from scheduling.domain.planner.problem import (
    DemandGroup,
    PlanningProblem,
    PoolFacts,
    Weights,
)

EPOCH = dt.datetime(2023, 5, 26, tzinfo=dt.UTC)
MOST_CYCLES = 60
# USD per squared share of use, so that solver tolerances do not matter
SCALE = 1e6
# a move must lower the sum of the hosts' squared use by so much, a cycle by a thousandth of it
WORTH = {"ours balance": 1e-3, "ours balance, few moves": 2e-2}
LEAST_GAIN = 1e-3
PEER = Path(__file__).with_name("watcher_peer.py")
STRATEGIES = ("stabilize-default", "stabilize-full", "consolidate")


@dataclass(frozen=True)
class Host:
    """A compute node; `is_open` when it is up and enabled."""

    name: str
    vcpus: float
    memory: float
    disk: float
    is_open: bool


@dataclass(frozen=True)
class Instance:
    """A virtual machine; `load` is what it uses, in hundredths of a CPU, whole."""

    name: str
    load: int
    memory: float
    disk: float
    may_move: bool


@dataclass(frozen=True)
class Scenario:
    """Hosts, instances and where each instance stands."""

    hosts: tuple[Host, ...]
    instances: tuple[Instance, ...]
    at: dict[str, str]


def percent_of(name):
    """Return a load of 10 to 100 % that an instance's name decides."""
    return 10 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 91


def read_scenario(path):
    """Return the scenario of a Watcher cluster model in XML; instances without a host are left."""
    root = ElementTree.parse(path).getroot()
    hosts, instances, at = [], [], {}
    for node in root.iter("ComputeNode"):
        size = {name: float(node.get(name, 0)) for name in ("vcpus", "memory", "disk_capacity")}
        is_open = node.get("state") == "up" and node.get("status") == "enabled"
        host = Host(node.get("uuid"), size["vcpus"], size["memory"], size["disk_capacity"], is_open)
        hosts.append(host)
        for one in node.iter("Instance"):
            name = one.get("uuid")
            load = round(float(one.get("vcpus")) * percent_of(name))
            may_move = one.get("watcher_exclude") != "True" and one.get("state") == "active"
            instances.append(
                Instance(
                    name, max(1, load), float(one.get("memory")), float(one.get("disk")), may_move
                )
            )
            at[name] = host.name
    return Scenario(tuple(hosts), tuple(instances), at)


def faults(scenario, after):
    """Return how many moves, or hosts that gained instances, break a rule."""
    hosts = {host.name: host for host in scenario.hosts}
    moved = [one for one in scenario.instances if after[one.name] != scenario.at[one.name]]
    broken = sum(not hosts[after[one.name]].is_open or not one.may_move for one in moved)
    for name in {after[one.name] for one in moved}:
        here = [one for one in scenario.instances if after[one.name] == name]
        host = hosts[name]
        broken += (
            sum(one.load for one in here) > 100 * host.vcpus + 1e-6
            or sum(one.memory for one in here) > host.memory
            or sum(one.disk for one in here) > host.disk
        )
    return broken


def use_of(scenario, at):
    """Return (H,) share of CPUs in use of every open host."""
    used = dict.fromkeys((host.name for host in scenario.hosts), 0.0)
    for one in scenario.instances:
        used[at[one.name]] += one.load
    return np.array([used[h.name] / (100 * h.vcpus) for h in scenario.hosts if h.is_open])


def problem_of(  # noqa: PLR0913 (a benchmark's own shorthand)
    scenario, at, *, prices, egress, data, only=None, limit=math.inf, worth=0.0, running
):
    """Return one planning cycle of one hour: hosts are pools, instances are work."""
    hosts = scenario.hosts
    index = {host.name: p for p, host in enumerate(hosts)}
    fixed = np.zeros(len(hosts))
    groups = []
    for one in scenario.instances:
        if not one.may_move or not hosts[index[at[one.name]]].is_open:
            fixed[index[at[one.name]]] += one.load
            continue
        groups.append(
            DemandGroup(
                key=one.name,
                home=index[at[one.name]],
                data_class="open",
                units=one.load,
                jobs=1,
                duration_slots=1,
                duration_h=1.0,
                latest_start=0,
                data_gb=data(one),
                is_running=running,
            )
        )
    size = np.array([100 * host.vcpus if host.is_open else 0.0 for host in hosts])
    held = fixed + (
        np.bincount([g.home for g in groups], [g.units for g in groups], minlength=len(hosts))
        if running
        else 0.0
    )
    left = np.maximum(0.0, size - held)[:, None]
    allowed = np.array(
        [[h.is_open and (only is None or h.name in only) for h in hosts] for _ in groups], bool
    )
    by_name = {one.name: one for one in scenario.instances}
    for g, group in enumerate(groups):
        one = by_name[group.key]
        allowed[g] &= [one.memory <= h.memory and one.disk <= h.disk for h in hosts]
    return PlanningProblem(
        starts_at=EPOCH,
        slots=1,
        pools=tuple(PoolFacts(h.name, h.name, h.name, "X") for h in hosts),
        groups=tuple(groups),
        available=left,
        home_available=left,
        energy_usd_per_unit_h=prices[:, None],
        carbon_kg_per_unit_h=np.zeros((len(hosts), 1)),
        allowed=allowed.reshape(len(groups), len(hosts)),
        egress_usd_per_gb=egress,
        transfer_h_per_gb=np.zeros((len(hosts), len(hosts))),
        max_out_units={h.name: limit for h in hosts},
        max_in_units={h.name: limit for h in hosts},
        weights=Weights(0.0, 0.0, SCALE * worth if running else 1e-9, 1e6),
    )


def planned(scenario, at, problem):
    """Return where instances stand after a plan, rebuilding it where memory or disk would burst."""
    banned = problem.allowed.copy()
    for _ in range(10):
        plan = solver.solve(problem, time_limit_s=5.0, gap=1e-3)
        if checks.verify(problem, plan.placements):
            raise SystemExit("the independent checker refuses the plan")
        after = dict(at)
        for placed in plan.placements:
            after[problem.groups[placed.group].key] = problem.pools[placed.pool].code
        burst = _burst(scenario, at, after)
        if not burst:
            return after, plan
        for g, group in enumerate(problem.groups):
            for p, pool in enumerate(problem.pools):
                if (group.key, pool.code) in burst:
                    banned[g, p] = False
        problem = replace(problem, allowed=banned.copy())
    return dict(at), plan


def _burst(scenario, at, after):
    """Return the last instances that came to hosts whose memory or disk is passed."""
    found = set()
    for host in scenario.hosts:
        here = [one for one in scenario.instances if after[one.name] == host.name]
        came = [one for one in here if at[one.name] != host.name]
        if came and (
            sum(one.memory for one in here) > host.memory
            or sum(one.disk for one in here) > host.disk
        ):
            found.add((came[-1].name, host.name))
    return found


def balance(scenario, worth):
    """Return where instances stand when planning cycles no longer even out the hosts' use.

    The square of a host's use is what evenness costs: its slope at the present use is the price of
    a unit there, and its curvature is paid by each move as data of the square of its size. A cycle
    moves at most `limit` units out of and into a host; when a cycle hardly helps it is halved.
    """
    at = dict(scenario.at)
    size = np.array([100 * host.vcpus for host in scenario.hosts])
    movable = [one.load for one in scenario.instances if one.may_move]
    limit = float(max(movable, default=0))
    cycles = 0
    while cycles < MOST_CYCLES and limit >= 1:
        used = _used(scenario, at)
        egress = (1 / size**2)[:, None] + (1 / size**2)[None, :]
        problem = problem_of(
            scenario,
            at,
            prices=SCALE * 2 * used / size**2,
            egress=SCALE * egress,
            data=lambda one: float(one.load**2),
            limit=limit,
            worth=worth,
            running=True,
        )
        if not problem.groups:
            break
        after, _ = planned(scenario, at, problem)
        cycles += 1
        gain = _squares(scenario, at) - _squares(scenario, after)
        if gain > 0:
            at = after
        if gain < LEAST_GAIN * _squares(scenario, at):
            limit /= 2
    return at, cycles


def _used(scenario, at):
    index = {host.name: p for p, host in enumerate(scenario.hosts)}
    used = np.zeros(len(scenario.hosts))
    for one in scenario.instances:
        used[index[at[one.name]]] += one.load
    return used


def _squares(scenario, at):
    return float((use_of(scenario, at) ** 2).sum())


def consolidate(scenario):
    """Return where instances stand on the fewest of the fullest hosts that hold them all."""
    used = _used(scenario, scenario.at)
    order = [p for p in np.argsort(-used, kind="stable") if scenario.hosts[p].is_open]
    stuck = {scenario.at[one.name] for one in scenario.instances if not one.may_move}
    fewest, most, best, cycles = 1, len(order), dict(scenario.at), 0
    while fewest <= most:
        count = (fewest + most) // 2
        keep = {scenario.hosts[p].name for p in order[:count]} | stuck
        problem = problem_of(
            scenario,
            scenario.at,
            prices=np.zeros(len(scenario.hosts)),
            egress=np.ones((len(used), len(used))),
            data=lambda _: 1.0,
            only=keep,
            running=False,
        )
        if not problem.groups:
            break
        after, plan = planned(scenario, scenario.at, problem)
        cycles += 1
        if sum(plan.unplaced) == 0 and not faults(scenario, after):
            best, most = after, count - 1
        else:
            fewest = count + 1
    return best, cycles


def peer(python, path, scenario, strategy):
    """Return where Watcher leaves the instances and its seconds; or None and why not."""
    loads = {one.name: percent_of(one.name) for one in scenario.instances}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "loads.json"
        file.write_text(json.dumps(loads))
        done = subprocess.run(
            [python, "-P", "-W", "ignore", PEER, path, file, strategy],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1][:120]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return told["where"], told["s"]


def generated(size, folder):
    """Write a scenario of HOSTSxINSTANCES, thrown at hosts at random, in Watcher's form."""
    nodes, count = (int(part) for part in size.split("x"))
    draw = random.Random(size)
    on = [[] for _ in range(nodes)]
    for n in range(count):
        # unevenly: the first third of the hosts gets two thirds of what comes
        first = draw.random() < 2 / 3
        on[draw.randrange(max(1, nodes // 3)) if first else draw.randrange(nodes)].append(n)
    lines = ["<ModelRoot>"]
    for place, here in enumerate(on):
        facts = {
            "hostname": f"hostname_{place}", "uuid": f"Node_{place}", "id": place, "state": "up",
            "status": "enabled", "vcpus": 64, "vcpu_reserved": 0, "vcpu_ratio": 1, "disk": 4000,
            "disk_gb_reserved": 0, "disk_ratio": 1, "disk_capacity": 4000, "memory": 512000,
            "memory_mb_reserved": 0, "memory_ratio": 1,
        }  # fmt: skip
        lines.append(f"<ComputeNode {_attributes(facts)}>")
        for n in here:
            own = {
                "watcher_exclude": "False", "name": "", "state": "active", "uuid": f"VM_{n}",
                "vcpus": draw.choice((1, 2, 4, 8)), "disk": 20, "disk_capacity": 20,
                "memory": 4096, "metadata": "{}", "project_id": "p",
            }  # fmt: skip
            lines.append(f"<Instance {_attributes(own)}/>")
        lines.append("</ComputeNode>")
    path = Path(folder) / f"generated_{size}.xml"
    path.write_text("\n".join([*lines, "</ModelRoot>"]))
    return path


def _attributes(facts):
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in facts.items())


def row(scenario, name, question, after, seconds, note=""):
    """Return one line of the table."""
    before, now = use_of(scenario, scenario.at), use_of(scenario, after)
    return {
        "scenario": name,
        "hosts": len(scenario.hosts),
        "instances": len(scenario.instances),
        "question": question,
        "sd_before": float(before.std()) if len(before) else 0.0,
        "sd_after": float(now.std()) if len(now) else 0.0,
        "hosts_before": int((before > 0).sum()),
        "hosts_after": int((now > 0).sum()),
        "moves": sum(after[key] != where for key, where in scenario.at.items()),
        "faults": faults(scenario, after),
        "s": seconds,
        "note": note,
    }


def rows_of(path, python):
    """Return the lines of one scenario."""
    scenario = read_scenario(path)
    found = []
    questions = {name: partial(balance, worth=worth) for name, worth in WORTH.items()}
    for question, solve in (questions | {"ours consolidate": consolidate}).items():
        began = time.perf_counter()
        after, cycles = solve(scenario)
        seconds = time.perf_counter() - began
        found.append(row(scenario, path.stem, question, after, seconds, f"{cycles} cycles"))
    for strategy in STRATEGIES if python else ():
        where, told = peer(python, path, scenario, strategy)
        if where is None:
            found.append(
                row(scenario, path.stem, f"Watcher {strategy}", scenario.at, 0.0, f"none: {told}")
            )
        else:
            after = scenario.at | where
            found.append(row(scenario, path.stem, f"Watcher {strategy}", after, told))
    return found


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of scenario_*.xml")
    parser.add_argument("--peer", help="Python of an environment with python-watcher")
    parser.add_argument("--generate", nargs="*", default=[], metavar="HOSTSxINSTANCES")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not options.peer:
        print("no --peer: Watcher itself does not run")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            path
            for path in sorted(options.data.glob("scenario_*.xml"))
            if len(read_scenario(path).hosts) > 1 and read_scenario(path).instances
        ]
        paths += [generated(size, folder) for size in options.generate]
        print("scenario | hosts × instances | planner | sd before → after | hosts in use | moves"
              " | faults | s")  # fmt: skip
        for path in paths:
            for one in rows_of(path, options.peer):
                rows.append(one)
                print(
                    f"{one['scenario']} | {one['hosts']} × {one['instances']} | {one['question']}"
                    f" | {one['sd_before']:.3f} → {one['sd_after']:.3f}"
                    f" | {one['hosts_before']} → {one['hosts_after']} | {one['moves']}"
                    f" | {one['faults']} | {one['s']:.2f} {one['note']}",
                    flush=True,
                )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
