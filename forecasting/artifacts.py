"""Saves and loads fitted models as arrays and JSON; loading executes nothing."""

import datetime as dt
import hashlib
import io
import json
import zipfile
from dataclasses import asdict

import numpy as np

from controlplane.lib.errors import ErrorKind, GridError
from forecasting.domain.calibration import Calibration
from forecasting.domain.forecasters import CODE_VERSION, FittedModel, ModelSettings
from forecasting.domain.forest import Forest, ForestSettings

_FORMAT = 1
_FOREST_ARRAYS = (
    "paths",
    "weights",
    "leaves",
    "split_feature",
    "split_at",
    "left",
    "right",
)
_CALIBRATION_ARRAYS = ("offsets", "median_share")


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
        "features": list(model.forest.features),
        "trained_from": model.trained_from.isoformat(),
        "trained_until": model.trained_until.isoformat(),
    }
    arrays = {name: getattr(model.forest, name) for name in _FOREST_ARRAYS}
    arrays |= {name: getattr(model.calibration, name) for name in _CALIBRATION_ARRAYS}
    text = np.frombuffer(json.dumps(head, sort_keys=True).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, head=text, **arrays)
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


def _assemble(head: dict[str, object], arrays: "dict[str, np.ndarray]") -> FittedModel:
    settings = dict(head["settings"])  # type: ignore[call-overload]
    return FittedModel(
        settings=ModelSettings(
            **{
                **settings,
                "forest": ForestSettings(**settings["forest"]),
                "quantiles": tuple(settings["quantiles"]),
            }
        ),
        forest=Forest(
            features=tuple(head["features"]),  # type: ignore[arg-type]
            **{name: arrays[name] for name in _FOREST_ARRAYS},
        ),
        calibration=Calibration(**{name: arrays[name] for name in _CALIBRATION_ARRAYS}),
        trained_from=dt.datetime.fromisoformat(str(head["trained_from"])),
        trained_until=dt.datetime.fromisoformat(str(head["trained_until"])),
    )
