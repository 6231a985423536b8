"""Rows are written in services and the ingest path only; nowhere is a signal connected."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("monitoring", "forecasting", "scheduling", "dash_app")
WRITES = {"save", "create", "bulk_create", "update_or_create", "get_or_create", "bulk_update"}
WRITERS = {"services", "services.py", "ingest", "senders", "watch", "migrations"}


def test_only_services_and_ingest_write_rows():
    found = []
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            parts = path.relative_to(ROOT / app).parts
            if WRITERS & set(parts):
                continue
            found.extend(
                f"{path.relative_to(ROOT)}:{node.lineno} .{node.func.attr}()"
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in WRITES
            )

    assert found == []


def test_nobody_connects_signals():
    guilty = [
        str(path.relative_to(ROOT))
        for app in (*APPS, "controlplane")
        for path in (ROOT / app).rglob("*.py")
        if "django.dispatch" in path.read_text() or "db.models.signals" in path.read_text()
    ]

    assert guilty == []
