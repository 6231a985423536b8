"""Measures what it takes to run the grid: first start, later start, stop, idle CPU and memory.

    python benchmarks/startup.py [--idle-s 30] [--port 18800] [--json FILE]

It runs the real stack in a temporary folder, at the demo's clock rate, with nobody looking.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from controlplane.runtime import procfs
from controlplane.runtime.folder import RunFolder
from controlplane.runtime.stack import PROJECT

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 300.0


def start(folder, port):
    """Start the grid; return its process and the seconds until every part was ready."""
    began = time.monotonic()
    command = [sys.executable, "-m", "controlplane.runtime", "up"]
    process = subprocess.Popen(
        [*command, "--var", str(folder.root), "--port", str(port)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ready after"):
            return process, time.monotonic() - began
        if time.monotonic() - began > PATIENCE_S:
            break
    process.terminate()
    sys.exit("the grid did not start:\n" + "".join(said[-30:]))


def stop(process):
    """Stop the grid as Ctrl-C does; return the seconds until it had ended."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    process.wait(60)
    return time.monotonic() - began


def cpu_s(pid):
    """Return the processor time a process and its ended children have used."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_PER_S


def memory_mb(pid):
    """Return a process's proportional share of memory, so that shared pages count once."""
    try:
        rollup = Path("/proc", str(pid), "smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(rollup.partition("\nPss:")[2].split()[0]) / 1024


def groups(folder, keeper_pid):
    """Return the process ids of each part by its name."""
    status = json.loads(folder.status_file.read_text())
    parts = {"supervisor": [keeper_pid, status["pid"]]}
    for child in status["children"]:
        if child["pid"] is not None:
            parts[child["name"]] = [child["pid"], *procfs.descendants(child["pid"])]
    return parts


def measure_idle(folder, keeper_pid, idle_s):
    """Return per part the share of one core and the memory over a time without visitors."""
    before = {name: sum(map(cpu_s, pids)) for name, pids in groups(folder, keeper_pid).items()}
    time.sleep(idle_s)
    parts = groups(folder, keeper_pid)
    return {
        name: {
            "cpu_ratio": max(0.0, sum(map(cpu_s, pids)) - before.get(name, 0.0)) / idle_s,
            "memory_mb": sum(map(memory_mb, pids)),
            "processes": len(pids),
        }
        for name, pids in parts.items()
    }


def main():
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle-s", type=float, default=30.0)
    parser.add_argument("--port", type=int, default=18800)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiaodu-startup-") as base:
        folder = RunFolder(Path(base, "var"))
        process, first_s = start(folder, options.port)
        stop_s = stop(process)
        process, again_s = start(folder, options.port)
        # The first seconds after a start are not idle ones.
        time.sleep(min(10.0, options.idle_s))
        parts = measure_idle(folder, process.pid, options.idle_s)
        stop(process)
    result = {
        "first_start_s": first_s,
        "later_start_s": again_s,
        "stop_s": stop_s,
        "idle_cpu_ratio": sum(part["cpu_ratio"] for part in parts.values()),
        "memory_mb": sum(part["memory_mb"] for part in parts.values()),
        "parts": parts,
    }
    print(f"first start {first_s:.1f} s, later start {again_s:.1f} s, stop {stop_s:.1f} s")
    print(f"{'part':<18}{'processes':>10}{'CPU %':>8}{'MB':>8}")
    for name, part in parts.items():
        cells = (part["processes"], 100 * part["cpu_ratio"], part["memory_mb"])
        print("{:<18}{:>10}{:>8.1f}{:>8.0f}".format(name, *cells))
    totals = (100 * result["idle_cpu_ratio"], result["memory_mb"])
    print("{:<28}{:>8.1f}{:>8.0f}".format("all", *totals))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
