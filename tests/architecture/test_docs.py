"""Documents keep up: settings, states and roles that are not explained fail here."""

import re
from pathlib import Path

import pytest

from controlplane.auth.roles import Role
from scheduling.domain.lifecycle import CommandState, MoveState, PassageState, PlanState

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_every_setting_from_the_environment_is_documented():
    code = "".join(
        path.read_text()
        for path in (
            ROOT / "controlplane" / "settings.py",
            *(ROOT / "controlplane" / "runtime").glob("*.py"),
        )
    )
    names = set(re.findall(r'"((?:TIAODU_[A-Z_]+)|DATABASE_URL|REDIS_URL)"', code))
    documented = (DOCS / "configuration.md").read_text()

    missing = {name for name in names if name.removesuffix("_FILE") not in documented}

    assert missing == set()


@pytest.mark.parametrize("states", [PlanState, MoveState, PassageState, CommandState])
def test_every_state_is_in_the_glossary(states):
    glossary = (DOCS / "glossary.md").read_text()

    assert [state for state in states if state.value not in glossary] == []


def test_every_role_is_described():
    described = (DOCS / "architecture.md").read_text()

    assert [role for role in Role if role.value not in described] == []


def test_no_document_or_code_names_a_machine_path_or_a_registry():
    forbidden = re.compile(r"/(?:work|root|home)/[a-z]|pypi\.org|pythonhosted|/tmp/research")
    guilty = []
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if parts[0] in {".git", ".venv", "var", "tests"} or "node_modules" in parts:
            continue
        if path.suffix in {".py", ".md", ".txt", ".toml", ".json", ".yaml", ".js", ".css"}:
            text = path.read_text(errors="replace")
            if len(text) < 1_000_000 and forbidden.search(text):
                guilty.append(str(path.relative_to(ROOT)))

    assert guilty == []
