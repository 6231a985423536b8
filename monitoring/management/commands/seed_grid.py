"""Fills a demo with its inventory, logins, provider keys and history; again, it changes nothing."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError

from controlplane.auth.keys import issue_key, provider_of_key, revoke_keys
from controlplane.auth.people import Person, register_people
from controlplane.auth.roles import Role
from controlplane.lib import clock
from monitoring import ingest, selectors, services

ACTOR = "system"


class Command(BaseCommand):
    """Seeds the demo grid."""

    help = "Fill the demo with inventory, logins, provider keys and history."
    # the checks import every route and with them all of Dash, which takes longer than seeding
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Run every step in its order.

        Raises:
            CommandError: this is not a demo, or a file that is needed is missing.
        """
        if not settings.DEMO:
            raise CommandError("seed_grid fills demos only: TIAODU_DEMO is not set.")
        inventory = _read_json(settings.FIXTURES_DIR / "grid.json")
        run_dir = settings.VAR_DIR / "run"
        run_dir.mkdir(parents=True, exist_ok=True)
        with self._step("inventory"):
            engines = _read_json(run_dir / "endpoints.json", default={})
            counts = services.register_inventory(inventory, engines=engines)
            outcome = ", ".join(f"{count} {name}" for name, count in counts.items())
            self._say(outcome)
        with self._step("partitions"):
            made, dropped = services.keep_partitions(clock.now())
            self._say(f"{made} made, {dropped} dropped")
        with self._step("people"):
            self._say(f"{_seed_people(inventory, run_dir / 'logins.json')} new logins")
        with self._step("keys"):
            self._say(f"{_seed_keys(inventory, run_dir / 'keys')} issued")
        with self._step("history"):
            self._say(_seed_history(settings.VAR_DIR / "simulator" / "history.parquet"))
        if "seed_rules" in get_commands():
            with self._step("rules"):
                call_command("seed_rules", stdout=StringIO())
                self._say("done")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._outcome = ""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self.stdout.write(f"  {name:<12}{self._outcome:<60}{seconds:6.2f} s")

    def _say(self, outcome: str) -> None:
        self._outcome = outcome


def _seed_people(inventory: dict[str, Any], path: Path) -> int:
    people = [
        Person("operator", Role.OPERATOR),
        Person("operator2", Role.OPERATOR),
        Person("auditor", Role.AUDITOR),
        Person("grid-admin", Role.GRID_ADMIN),
        *(
            Person(f"admin-{region['code'].lower()}", Role.REGIONAL_ADMIN, region["code"])
            for region in inventory["regions"]
        ),
        *(
            Person(f"provider-{row['code']}", Role.PROVIDER, provider_code=row["code"])
            for row in inventory["providers"]
        ),
    ]
    if not settings.DEMO_PASSWORD:
        raise CommandError("No demo password is set: set TIAODU_DEMO_PASSWORD.")
    new = register_people(people, password=settings.DEMO_PASSWORD)
    logins = [
        {"username": person.username, "role": person.role.value, "scope": person.scope}
        for person in people
    ]
    _write_private(path, json.dumps(logins, indent=1) + "\n")
    return new


def _seed_keys(inventory: dict[str, Any], folder: Path) -> int:
    folder.mkdir(mode=0o700, exist_ok=True)
    issued = 0
    for row in inventory["providers"]:
        path = folder / f"{row['code']}.key"
        if path.exists() and provider_of_key(path.read_text().strip()) == row["code"]:
            continue
        # a key that nobody holds any more must not stay live
        revoke_keys(row["code"], actor=ACTOR)
        _write_private(path, issue_key(row["code"], actor=ACTOR, label="demo") + "\n")
        issued += 1
    return issued


def _seed_history(path: Path) -> str:
    if selectors.has_history():
        return "there already"
    if not path.exists():
        return "none found"
    report = ingest.load_history(pd.read_parquet(path), now=clock.now())
    if report.errors_total:
        raise CommandError(
            f"{report.errors_total} samples of {path.name} were refused: "
            f"{dict(report.rejected_by_reason)}"
        )
    services.analyze_tables()
    return f"{report.accepted} samples loaded"


def _read_json(path: Path, *, default: Any = None) -> Any:
    if not path.exists():
        if default is not None:
            return default
        raise CommandError(f"{path.name} is missing.")
    return json.loads(path.read_text(encoding="utf-8"))


def _write_private(path: Path, text: str) -> None:
    # readable by nobody else from its first moment on, and never half written
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
