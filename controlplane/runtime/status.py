"""Shows what runs: the status file that pages read, the table and the box on the terminal."""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from controlplane.runtime.children import Child
from controlplane.runtime.clock import GridClock
from controlplane.runtime.folder import RunFolder, read_json, write_private

NAMES_SHOWN = 3


def write_status(
    folder: RunFolder, children: Iterable[Child], *, identity: dict[str, Any], clock: GridClock
) -> None:
    """Replace the status file.

    Args:
        folder: where the file is.
        children: all children, in the order in which they are shown.
        identity: the supervisor's `pid`, `started_at` and `web_url`.
        clock: the grid clock of this run.
    """
    status = {
        **identity,
        "clock": {
            "anchor_real": clock.anchor_real_s,
            "anchor_grid": clock.anchor_grid_s,
            "rate": clock.rate,
        },
        "children": [_row(child) for child in children],
    }
    write_private(folder.status_file, json.dumps(status))


def status_table(status: dict[str, Any], *, is_running: bool) -> str:
    """Return the status file's content as a table for people."""
    if not is_running:
        return "The grid is not running. Start it with: make up"
    head = ("part", "state", "pid", "restarts", "since", "last exit")
    rows = [head]
    for child in status["children"]:
        pid = "" if child["pid"] is None else str(child["pid"])
        since = str(child["since"])[11:19]
        restarts = str(child["restarts"])
        rows.append((child["name"], child["state"], pid, restarts, since, child["last_exit"] or ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([f"{status['web_url']}  supervisor {status['pid']}", "", *lines])


def ready_box(folder: RunFolder, *, web_url: str, clock: GridClock, real_s: float) -> str:
    """Return the box that tells how to use the running grid.

    Args:
        folder: has the demo logins and their password.
        web_url: address of the control room.
        clock: the grid clock.
        real_s: real time now, epoch seconds.
    """
    pace = "real time" if clock.rate == 1 else f"{clock.rate:g} x real time"
    lines = [
        f"Tiaodu runs at  {web_url}",
        "",
        f"grid time       {utc_text(clock.at(real_s))}   ({pace})",
    ]
    logins = read_json(folder.logins_file) or []
    if logins:
        password = folder.secret("demo_password").read_text().strip()
        lines += [f"password        {password}   (all demo logins)", "", *login_lines(logins)]
    lines += ["", "Ctrl-C stops it; make up continues; make up-clean starts over."]
    return box(lines)


def login_lines(logins: Sequence[Mapping[str, str]]) -> list[str]:
    """Return one line per role with its logins; a long list is cut, its length told."""
    by_role: dict[str, list[str]] = {}
    for login in logins:
        by_role.setdefault(login["role"].replace("_", " ").lower(), []).append(login["username"])
    width = max(map(len, by_role))
    lines = []
    for role, names in by_role.items():
        rest = f", … ({len(names)})" if len(names) > NAMES_SHOWN else ""
        lines.append(f"  {role.ljust(width)}  {', '.join(names[:NAMES_SHOWN])}{rest}")
    return lines


def box(lines: Sequence[str]) -> str:
    """Return lines in a frame; wide characters count as two columns."""
    width = max(map(columns, lines))
    inner = [f"│ {line}{' ' * (width - columns(line))} │" for line in lines]
    rule = "─" * (width + 2)
    return "\n".join([f"╭{rule}╮", *inner, f"╰{rule}╯"])


def columns(text: str) -> int:
    """Return how many terminal columns a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def utc_text(epoch_s: float) -> str:
    """Return an instant as people read it."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def utc_iso(epoch_s: float | None) -> str | None:
    """Return an instant in RFC 3339, or None."""
    if epoch_s is None:
        return None
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds")


def _row(child: Child) -> dict[str, Any]:
    return {
        "name": child.spec.name,
        "state": child.state.value,
        "pid": child.pid,
        "restarts": child.restarts,
        "last_exit": child.last_exit,
        "since": utc_iso(child.since),
        "ready_at": utc_iso(child.ready_at),
    }
