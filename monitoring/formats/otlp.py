"""Decodes OTLP metrics, protobuf or JSON, into points.

Gauges and sums become one series each; of histograms, exponential histograms and summaries the
count and the sum are kept, as two series, as Prometheus names them. Resource attributes and those
of the point are the labels; where both name one, the point's counts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.domain.points import NAME_LABEL, PointFault
from monitoring.formats.collector import STALE_NAN, Collector

TEMPORALITY_LABEL = "otlp.temporality"
MAX_ATTRIBUTES = 1_000
MAX_DEPTH = 32
_NO_RECORDED_VALUE = 1
_DELTA = 1


@dataclass(frozen=True)
class Metric:
    """What the points of one metric have in common."""

    name: str
    is_distribution: bool
    temporality: int


@dataclass(frozen=True)
class DataPoint:
    """One data point; what it does not say is None.

    Attributes:
        attributes: name and text of each.
        time_ns: nanoseconds since 1970 UTC; 0 or None = not said.
        value: of a gauge or sum.
        count: of a distribution.
        total: sum of a distribution.
        flags: bit 0 = no recorded value.
    """

    attributes: tuple[tuple[str, str], ...]
    time_ns: int | None
    value: float | None = None
    count: int | None = None
    total: float | None = None
    flags: int = 0


def add_data_point(
    collector: Collector,
    resource: Mapping[str, str],
    metric: Metric,
    point: DataPoint,
) -> None:
    """Add one data point, which makes one or two points of ours."""
    labels = {**resource, **dict(point.attributes)}
    if metric.temporality == _DELTA:
        labels[TEMPORALITY_LABEL] = "delta"
    repeats = len(dict(point.attributes)) != len(point.attributes)
    origin = collector.next_origin()
    measured_us = (point.time_ns or 0) // 1000
    for name, value in _values(metric, point):
        # an attribute cannot rename the metric
        position = collector.add_series({**labels, NAME_LABEL: name}.items())
        fault = PointFault.BAD_LABELS if repeats else None
        if measured_us <= 0 or value is None:
            fault = PointFault.BAD_TIME if measured_us <= 0 else PointFault.NO_VALUE
        stored = 0.0 if value is None else value
        collector.add_point(position, measured_us, stored, origin=origin, fault=fault)


def _values(metric: Metric, point: DataPoint) -> Iterator[tuple[str, float | None]]:
    has_none = bool(point.flags & _NO_RECORDED_VALUE)
    if not metric.is_distribution:
        yield metric.name, STALE_NAN if has_none else point.value
        return
    count = None if point.count is None else float(point.count)
    yield f"{metric.name}_count", STALE_NAN if has_none else count
    if point.total is not None and not has_none:
        yield f"{metric.name}_sum", point.total


def attribute_text(value: Any) -> str:
    """Return an attribute's value as the text of a label."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
