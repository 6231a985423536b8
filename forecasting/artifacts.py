"""Saves and loads fitted models as arrays and JSON, and reads the shipped traces.

Loading executes nothing.
"""

import datetime as dt
import hashlib
import io
import json
import zipfile
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from controlplane.lib.errors import ErrorKind, GridError
from forecasting.domain.ensemble.library import Library, Source, with_made_up
from forecasting.domain.ensemble.network import Network
from forecasting.domain.ensemble.trees import Forest
from forecasting.domain.forecasters import CODE_VERSION, FittedModel, ModelSettings
from forecasting.domain.uploads import read_upload

_FORMAT = 2
_TRACES = Path(__file__).resolve().parent.parent / "fixtures"


class BadArtifact(GridError):
    """A stored model is damaged, or was written by another version of the code."""

    code = "bad-artifact"
    kind = ErrorKind.CONFLICT


def dump_model(model: FittedModel) -> bytes:
    """Return a fitted model as bytes; the same model gives the same bytes."""
    head = {
        "format": _FORMAT,
        "code_version": CODE_VERSION,
        "settings": asdict(model.settings),
        "features": list(model.features),
        "networks": sorted(model.networks),
        "taught_by": list(model.taught_by),
        "left_out": model.left_out,
        "trained_from": model.trained_from.isoformat(),
        "trained_until": model.trained_until.isoformat(),
    }
    arrays = {f"forest.{name}": values for name, values in _arrays_of(model.forest).items()}
    for network, part in model.networks.items():
        arrays |= {f"{network}.{name}": values for name, values in _arrays_of(part).items()}
    text = np.frombuffer(json.dumps(head, sort_keys=True).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, head=text, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def load_model(artifact: bytes, *, sha256: str) -> FittedModel:
    """Return the model that was dumped.

    Args:
        artifact: what `dump_model` returned.
        sha256: the digest that was kept with it, in hexadecimal.

    Raises:
        BadArtifact: the bytes are not those that were kept, hold anything but plain arrays, or
            come from another version of the code.
    """
    if digest_of(artifact) != sha256:
        raise BadArtifact("The stored model is not the one that was kept: its digest differs.")
    try:
        with np.load(io.BytesIO(artifact), allow_pickle=False) as archive:
            head = json.loads(archive["head"].tobytes())
            arrays = {name: archive[name] for name in archive.files if name != "head"}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadArtifact("The stored model cannot be read.") from error
    if (head.get("format"), head.get("code_version")) != (_FORMAT, CODE_VERSION):
        raise BadArtifact("The stored model was written by another version of the code.")
    return _assemble(head, arrays)


def digest_of(artifact: bytes) -> str:
    """Return the SHA-256 of an artifact, in hexadecimal."""
    return hashlib.sha256(artifact).hexdigest()


@lru_cache(maxsize=1)
def shipped_library() -> Library:
    """Return the shipped traces of other grids, which models may learn from beside their own.

    Returns:
        Every set of hourly demand among the fixtures, and made-up seasonal series.
    """
    files = sorted(_TRACES.glob("*/hourly.parquet"))
    sources = [Source(file.parent.name, read_upload(pd.read_parquet(file)).panel) for file in files]
    return with_made_up(sources) if sources else Library(())


def _arrays_of(part: "Network | Forest") -> "dict[str, np.ndarray]":
    return {field.name: getattr(part, field.name) for field in fields(part)}


def _assemble(head: dict[str, object], arrays: "dict[str, np.ndarray]") -> FittedModel:
    settings = dict(head["settings"])  # type: ignore[call-overload]
    networks = list(head["networks"])  # type: ignore[call-overload]
    return FittedModel(
        settings=ModelSettings(**{**settings, "quantiles": tuple(settings["quantiles"])}),
        networks={name: Network(**_part(arrays, name)) for name in networks},
        forest=Forest(**_part(arrays, "forest")),
        taught_by=tuple(head["taught_by"]),  # type: ignore[arg-type]
        left_out=dict(head["left_out"]),  # type: ignore[call-overload]
        trained_from=dt.datetime.fromisoformat(str(head["trained_from"])),
        trained_until=dt.datetime.fromisoformat(str(head["trained_until"])),
    )


def _part(arrays: "dict[str, np.ndarray]", name: str) -> "dict[str, np.ndarray]":
    return {
        key.removeprefix(f"{name}."): values
        for key, values in arrays.items()
        if key.startswith(f"{name}.")
    }
