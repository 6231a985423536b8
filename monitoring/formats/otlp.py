"""Decodes OTLP metrics, protobuf or JSON, into points.

Gauges and sums become one series each; histograms become what Prometheus makes of them: count, sum
and one series for each bucket, which counts up to its label `le`; exponential ones too. Of
summaries count and sum are kept. Resource attributes and those of the point are the labels; where
both name one, the point's counts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.domain.points import NAME_LABEL, PointFault
from monitoring.formats.collector import STALE_NAN, Collector
from monitoring.formats.histogram_series import BUCKET_LABEL, ClassicSeries, bound_text
from monitoring.formats.native_histograms import NativeHistogram

TEMPORALITY_LABEL = "otlp.temporality"
MAX_BUCKETS = 256
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
    is_exponential: bool = False


@dataclass(frozen=True)
class OtlpExemplar:
    """One exemplar; what it does not say is None."""

    value: float | None
    time_ns: int | None
    pairs: tuple[tuple[str, str], ...]


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
        bounds: upper bounds of a histogram's buckets, all but the last.
        buckets: how many lie in each bucket; empty = not said.
        native: of an exponential histogram.
        exemplars: those that came along.
    """

    attributes: tuple[tuple[str, str], ...]
    time_ns: int | None
    value: float | None = None
    count: int | None = None
    total: float | None = None
    flags: int = 0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    native: NativeHistogram | None = None
    exemplars: tuple[OtlpExemplar, ...] = ()


def add_data_point(
    collector: Collector,
    resource: Mapping[str, str],
    metric: Metric,
    point: DataPoint,
) -> None:
    """Add one data point, which makes one point of ours or, of a distribution, several."""
    labels = {**resource, **dict(point.attributes)}
    if metric.temporality == _DELTA:
        labels[TEMPORALITY_LABEL] = "delta"
    origin = collector.next_origin()
    measured_us = (point.time_ns or 0) // 1000
    if metric.is_exponential:
        _add_exponential(collector, {**labels, NAME_LABEL: metric.name}, point, origin)
        return
    own_fault = _fault_of(point)
    bounded: list[tuple[float, int]] = []
    for name, more, value in _values(metric, point, whole=own_fault is None):
        # an attribute cannot rename the metric
        position = collector.add_series({**labels, **more, NAME_LABEL: name}.items())
        fault = own_fault
        if measured_us <= 0 or value is None:
            fault = PointFault.BAD_TIME if measured_us <= 0 else PointFault.NO_VALUE
        stored = 0.0 if value is None else value
        collector.add_point(position, measured_us, stored, origin=origin, fault=fault)
        bounded.append((float(more.get(BUCKET_LABEL, "-inf").replace("+Inf", "inf")), position))
    for exemplar in point.exemplars:
        # the narrowest bucket that holds it, or the first series where there are none
        value = exemplar.value if exemplar.value is not None else 0.0
        fitting = [place for bound, place in bounded if value <= bound]
        _add_exemplar(collector, fitting[0] if fitting else bounded[0][1], exemplar, point)


def _add_exponential(
    collector: Collector, labels: Mapping[str, str], point: DataPoint, origin: int
) -> None:
    series = ClassicSeries(collector, labels.items())
    measured_us = (point.time_ns or 0) // 1000
    fault = None
    if measured_us <= 0 or len(dict(point.attributes)) != len(point.attributes):
        fault = PointFault.BAD_TIME if measured_us <= 0 else PointFault.BAD_LABELS
    histogram = point.native or NativeHistogram(0.0, None)
    if point.flags & _NO_RECORDED_VALUE:
        histogram = NativeHistogram(0.0, STALE_NAN)
    elif point.count is None:
        fault = fault or PointFault.NO_VALUE
    series.add(histogram, measured_us, fault=fault, origin=origin)
    for exemplar in point.exemplars:
        _add_exemplar(collector, series.holding(exemplar.value or 0.0), exemplar, point)


def _add_exemplar(
    collector: Collector, series: int, exemplar: OtlpExemplar, point: DataPoint
) -> None:
    if exemplar.value is not None:
        measured_us = (exemplar.time_ns or point.time_ns or 0) // 1000
        collector.add_exemplar(series, measured_us, exemplar.value, exemplar.pairs)


def _fault_of(point: DataPoint) -> PointFault | None:
    if len(dict(point.attributes)) != len(point.attributes):
        return PointFault.BAD_LABELS
    if not (point.buckets or point.bounds):
        return None
    edges = np.array((-np.inf, *point.bounds, np.inf))
    fits = len(point.buckets) == len(point.bounds) + 1 <= MAX_BUCKETS
    # a bound that is no number is in no order
    adds_up = fits and bool((edges[1:] > edges[:-1]).all()) and sum(point.buckets) == point.count
    return None if adds_up else PointFault.BAD_BUCKETS


_Value = tuple[str, dict[str, str], float | None]


def _values(metric: Metric, point: DataPoint, *, whole: bool) -> Iterator[_Value]:
    has_none = bool(point.flags & _NO_RECORDED_VALUE)
    if not metric.is_distribution:
        yield metric.name, {}, STALE_NAN if has_none else point.value
        return
    count = None if point.count is None else float(point.count)
    yield f"{metric.name}_count", {}, STALE_NAN if has_none else count
    if has_none or not whole:
        return
    if point.total is not None:
        yield f"{metric.name}_sum", {}, point.total
    if point.buckets:
        up_to = np.cumsum(np.array(point.buckets, np.float64)).tolist()
        for bound, below in zip((*point.bounds, float("inf")), up_to, strict=True):
            yield f"{metric.name}_bucket", {BUCKET_LABEL: bound_text(bound)}, below


def attribute_text(value: Any) -> str:
    """Return an attribute's value as the text of a label."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
