"""Stored models come back to the bit, and nothing else comes back at all."""

import io
import pickle

import numpy as np
import pytest

from forecasting.artifacts import BadArtifact, digest_of, dump_model, load_model
from forecasting.domain.forecasters import fit_model, predict_with
from tests.unit.forecasting.series import SMALL, panel_of, wandering


@pytest.fixture(scope="module")
def model():
    return fit_model(panel_of(wandering()), SMALL)


def test_a_loaded_model_forecasts_to_the_bit_what_the_dumped_one_does(model):
    artifact = dump_model(model)

    loaded = load_model(artifact, sha256=digest_of(artifact))

    panel = panel_of(wandering(seed=8))
    assert predict_with(loaded, panel).tobytes() == predict_with(model, panel).tobytes()
    assert (loaded.settings, loaded.trained_until) == (model.settings, model.trained_until)


def test_the_same_model_gives_the_same_bytes(model):
    assert dump_model(model) == dump_model(fit_model(panel_of(wandering()), SMALL))


def test_a_changed_byte_is_noticed(model):
    artifact = dump_model(model)

    changed = bytearray(artifact)
    changed[len(changed) // 2] ^= 1

    with pytest.raises(BadArtifact, match="digest"):
        load_model(bytes(changed), sha256=digest_of(artifact))


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("loading a model executed something",))


def _zip_with_objects():
    buffer = io.BytesIO()
    np.savez(buffer, head=np.array([_Bomb()], dtype=object))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "artifact",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"PK\x03\x04 broken", id="no archive"),
        pytest.param(pickle.dumps(_Bomb()), id="a pickle"),
        pytest.param(_zip_with_objects(), id="objects inside arrays"),
    ],
)
def test_anything_but_plain_arrays_is_refused_and_not_executed(artifact):
    with pytest.raises(BadArtifact):
        load_model(artifact, sha256=digest_of(artifact))


def test_a_model_of_other_code_is_refused(model, monkeypatch):
    monkeypatch.setattr("forecasting.artifacts.CODE_VERSION", "0")
    artifact = dump_model(model)
    monkeypatch.undo()

    with pytest.raises(BadArtifact, match="version"):
        load_model(artifact, sha256=digest_of(artifact))
