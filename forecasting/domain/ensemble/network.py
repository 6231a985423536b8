"""A small neural network that gives all quantiles of a row at once, in plain arrays.

Two hidden layers beside a straight path from input to output; trained with Adam on the pinball
loss. It is small enough to be trained within seconds, first on the shipped traces and then on
the grid's own history.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from forecasting.domain.frames import Floats

Singles = npt.NDArray[np.float32]

_LEAK = np.float32(0.01)
_SMOOTHING = 0.02
_BATCH = 512
_DROPPED = 0.1
_DECAY = 0.1
_LIMIT = 4.0
_BETA_MEAN = 0.9
_BETA_SQUARE = 0.99


@dataclass(frozen=True)
class Network:
    """A trained network: F inputs, U hidden units, Q quantiles.

    Attributes:
        shift: (F,) mean of the inputs.
        width: (F,) their spread.
        first: (F, U) weights into the first layer.
        first_bias: (U,).
        second: (U, U) weights into the second layer.
        second_bias: (U,).
        last: (U, Q) weights into the output.
        last_bias: (Q,).
        straight: (F, Q) weights from input to output.
    """

    shift: Singles
    width: Singles
    first: Singles
    first_bias: Singles
    second: Singles
    second_bias: Singles
    last: Singles
    last_bias: Singles
    straight: Singles


@dataclass(frozen=True)
class TrainingTerms:
    """How a network is trained.

    Attributes:
        quantiles: Q levels.
        units: of each hidden layer.
        epochs: passes over the rows.
        rate: largest step.
        seed: of weights, order and dropout.
    """

    quantiles: tuple[float, ...]
    units: int = 24
    epochs: int = 8
    rate: float = 3e-3
    seed: int = 0


def new_network(inputs: Singles, target: Floats, terms: TrainingTerms) -> Network:
    """Return an untrained network that answers with the quantiles of all targets."""
    chance = np.random.default_rng(terms.seed)
    features, units, levels = inputs.shape[1], terms.units, len(terms.quantiles)
    drawn = {
        "first": chance.normal(0, features**-0.5, (features, units)),
        "first_bias": np.zeros(units),
        "second": chance.normal(0, units**-0.5, (units, units)),
        "second_bias": np.zeros(units),
        "last": chance.normal(0, 0.1 * units**-0.5, (units, levels)),
        "last_bias": np.quantile(target, terms.quantiles),
        "straight": np.zeros((features, levels)),
        "shift": inputs.mean(axis=0),
        "width": inputs.std(axis=0) + 0.05,
    }
    return Network(**{name: values.astype(np.float32) for name, values in drawn.items()})


def train_network(
    network: Network, inputs: Singles, target: Floats, weight: Floats, terms: TrainingTerms
) -> Network:
    """Return a network trained further.

    Args:
        network: where to begin.
        inputs: (N, F).
        target: (N,).
        weight: (N,) how much each row counts.
        terms: how.

    Returns:
        The trained network; the same input gives the same bits.

    Source:
        Kingma, Ba, Adam, ICLR 2015; Koenker, Bassett, Regression Quantiles, Econometrica 46.
    """
    rows = _squeezed(network, inputs)
    wanted = target.astype(np.float32)
    weights = (weight / weight.mean()).astype(np.float32)
    levels = np.asarray(terms.quantiles, dtype=np.float32)
    chance = np.random.default_rng(terms.seed)
    size = min(_BATCH, len(rows))
    steps = terms.epochs * (len(rows) // size)
    state = _Adam(network)
    for _ in range(terms.epochs):
        order = chance.permutation(len(rows))
        for first in range(0, len(rows) - size + 1, size):
            batch = order[first : first + size]
            kept = chance.random((size, rows.shape[1]), dtype=np.float32) > _DROPPED
            shown = rows[batch] * kept / np.float32(1 - _DROPPED)
            slopes = _slopes(state.weights, shown, wanted[batch], weights[batch], levels)
            rate = terms.rate * 0.5 * (1 + np.cos(np.pi * (state.taken + 1) / steps)) + 1e-5
            state.step(slopes, rate)
    return replace(network, **state.weights)


def ask_network(network: Network, inputs: Singles) -> Floats:
    """Return (N, Q) quantiles of the targets, ascending."""
    weights = {field.name: getattr(network, field.name) for field in fields(network)}
    answer = _forward(weights, _squeezed(network, inputs))[-1]
    return np.sort(answer.astype(np.float64), axis=1)


def _squeezed(network: Network, inputs: Singles) -> Singles:
    out: Singles = np.clip((inputs - network.shift) / network.width, -_LIMIT, _LIMIT)
    return out.astype(np.float32)


def _forward(weights: "dict[str, Singles]", rows: Singles) -> tuple[Singles, Singles, Singles]:
    first = rows @ weights["first"] + weights["first_bias"]
    first = np.maximum(first, _LEAK * first)
    second = first @ weights["second"] + weights["second_bias"]
    second = np.maximum(second, _LEAK * second)
    answer = second @ weights["last"] + weights["last_bias"] + rows @ weights["straight"]
    return first, second, answer


def _slopes(
    weights: "dict[str, Singles]",
    rows: Singles,
    target: Singles,
    weight: Singles,
    levels: Singles,
) -> "dict[str, Singles]":
    first, second, answer = _forward(weights, rows)
    error = target[:, None] - answer
    # the kink of the pinball loss is rounded off within a small distance
    below = np.clip(0.5 - error / (2 * _SMOOTHING), 0, 1)
    out = -(levels - below) * weight[:, None] / np.float32(len(rows))
    back = (out @ weights["last"].T) * np.where(second > 0, np.float32(1), _LEAK)
    further = (back @ weights["second"].T) * np.where(first > 0, np.float32(1), _LEAK)
    return {
        "last": second.T @ out,
        "last_bias": out.sum(axis=0),
        "straight": rows.T @ out,
        "second": first.T @ back,
        "second_bias": back.sum(axis=0),
        "first": rows.T @ further,
        "first_bias": further.sum(axis=0),
    }


class _Adam:
    """Steps against the slopes, each weight by its own measure."""

    _NAMES: Sequence[str] = (
        "first",
        "first_bias",
        "second",
        "second_bias",
        "last",
        "last_bias",
        "straight",
    )

    def __init__(self, network: Network) -> None:
        self.weights = {name: getattr(network, name).copy() for name in self._NAMES}
        self.mean = {name: np.zeros_like(values) for name, values in self.weights.items()}
        self.square = {name: np.zeros_like(values) for name, values in self.weights.items()}
        self.taken = 0

    def step(self, slopes: "dict[str, Singles]", rate: float) -> None:
        self.taken += 1
        for name, slope in slopes.items():
            self.mean[name] += (1 - _BETA_MEAN) * (slope - self.mean[name])
            self.square[name] += (1 - _BETA_SQUARE) * (slope**2 - self.square[name])
            mean = self.mean[name] / (1 - _BETA_MEAN**self.taken)
            square = self.square[name] / (1 - _BETA_SQUARE**self.taken)
            moved = self.weights[name] - rate * mean / (np.sqrt(square) + 1e-8)
            if not name.endswith("bias"):
                moved *= 1 - rate * _DECAY
            self.weights[name] = moved.astype(np.float32)
