"""Measures a newcomer's wait: from `git clone` to a running grid, with and without the download.

    python benchmarks/clone.py [--port 18900] [--json FILE]

The first clone fetches every package (pip's cache is not used). For the second one the packages lie
in a folder on disk and pip is not allowed to ask anybody. Each clone runs `make up` in a temporary
folder and is stopped again. Compare the two: the difference is the network's.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 900.0


def wait_for(process, words):
    """Read the output until a line begins with the words; return that line."""
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(words):
            return line.strip()
    sys.exit("make up ended early:\n" + "".join(said[-30:]))


def clone_and_run(folder, port, environment):
    """Clone, run `make up`, stop it; return seconds to the clone, to packages and to readiness."""
    began = time.monotonic()
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    cloned = time.monotonic()
    process = subprocess.Popen(
        ["make", "up", f"PORT={port}", f"PYTHON={sys.executable}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(process, "Starting the grid")
    installed = time.monotonic()
    wait_for(process, "Ready after")
    ready = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    return {
        "clone_s": round(cloned - began, 1),
        "packages_s": round(installed - cloned, 1),
        "start_s": round(ready - installed, 1),
        "total_s": round(ready - began, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=18900)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = {"load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="tiaodu-clone-") as temporary:
        folder = Path(temporary)
        fetched = {**os.environ, "PIP_NO_CACHE_DIR": "1"}
        result["with_download"] = clone_and_run(folder / "first", options.port, fetched)
        wheels = folder / "wheels"
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:"),
                *("--require-hashes", "-r", str(ROOT / "requirements" / "runtime.txt")),
                *("-d", str(wheels)),
            ],
            check=True,
        )
        shutil.rmtree(folder / "first")
        on_disk = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
        result["without_download"] = clone_and_run(folder / "second", options.port, on_disk)
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
