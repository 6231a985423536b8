"""Typed reads of the environment, for the settings alone."""

import os
from pathlib import Path


def env_text(name: str, default: str = "") -> str:
    """Return a text setting."""
    return os.environ.get(name, default)


def env_flag(name: str, *, default: bool = False) -> bool:
    """Return a yes-or-no setting: 1, true, yes, on count as yes."""
    value = os.environ.get(name)
    return default if value is None else value.strip().lower() in {"1", "true", "yes", "on"}


def env_number(name: str, default: float) -> float:
    """Return a number.

    Raises:
        SystemExit: the text is not a number; the message names the setting.
    """
    value = os.environ.get(name)
    if value is None or not value.strip():
        return default
    try:
        return float(value)
    except ValueError:
        message = f"{name} must be a number, not {value!r}."
        raise SystemExit(message) from None


def env_secret(name: str, default: str = "") -> str:
    """Return a secret, from `NAME` or from the file that `NAME_FILE` names."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return os.environ.get(name, default)
