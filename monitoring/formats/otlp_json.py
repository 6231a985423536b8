"""Reads OTLP/JSON: lower camel case, 64-bit integers as text, unknown fields passed over."""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from controlplane.lib.bodies import strict_json
from controlplane.lib.errors import GridError
from monitoring.domain.points import Points
from monitoring.formats.collector import Collector
from monitoring.formats.native_histograms import NativeHistogram
from monitoring.formats.otlp import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    DataPoint,
    Metric,
    OtlpExemplar,
    add_data_point,
    attribute_text,
)
from monitoring.formats.otlp_exponential import side_of

_Number = TypeVar("_Number", int, float)
_SHAPES = {
    "gauge": False,
    "sum": False,
    "histogram": True,
    "exponentialHistogram": True,
    "summary": True,
}
_EXPONENTIAL = "exponentialHistogram"
MAX_EXEMPLARS_READ = 32
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,19})", re.ASCII)
_NAMED_NUMBERS = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


class MalformedOtlp(GridError):
    """The body is JSON, but not what OTLP says in JSON."""

    code = "malformed-body"


def decode(body: bytes) -> Points:
    """Turn an ExportMetricsServiceRequest in JSON into points.

    Raises:
        MalformedBody: the body is not JSON.
        MalformedOtlp: a field that is read has another type than OTLP gives it.
        TooManySamples: it holds more than 50,000 data points.
    """
    collector = Collector()
    for holder in _objects(_object(strict_json(body), "the body"), "resourceMetrics"):
        resource = dict(_attributes(_child(holder, "resource")))
        for scope in _objects(holder, "scopeMetrics"):
            for metric in _objects(scope, "metrics"):
                _read_metric(metric, resource, collector)
    return collector.finish()


def _read_metric(metric: dict[str, Any], resource: dict[str, str], collector: Collector) -> None:
    name = _text(metric, "name")
    for key, is_distribution in _SHAPES.items():
        holder = _child(metric, key)
        temporality = holder.get("aggregationTemporality", 0)
        if type(temporality) is not int:
            raise MalformedOtlp("aggregationTemporality must be a number: names are not taken.")
        shared = Metric(name, is_distribution, temporality, key == _EXPONENTIAL)
        for point in _objects(holder, "dataPoints"):
            read = _read_point(point, is_exponential=key == _EXPONENTIAL)
            add_data_point(collector, resource, shared, read)


def _read_point(point: dict[str, Any], *, is_exponential: bool) -> DataPoint:
    value = _double(point, "asDouble")
    if value is None:
        number = _integer(point, "asInt")
        value = None if number is None else float(number)
    return DataPoint(
        attributes=tuple(_attributes(point)),
        time_ns=_integer(point, "timeUnixNano"),
        value=value,
        count=_integer(point, "count"),
        total=_double(point, "sum"),
        flags=_integer(point, "flags") or 0,
        bounds=tuple(_numbers(point, "explicitBounds", _double)),
        buckets=tuple(_numbers(point, "bucketCounts", _integer)),
        native=_read_native(point) if is_exponential else None,
        exemplars=tuple(
            _read_exemplar(each) for each in _objects(point, "exemplars")[:MAX_EXEMPLARS_READ]
        ),
    )


def _read_native(point: dict[str, Any]) -> NativeHistogram:
    sides = {}
    for key in ("positive", "negative"):
        side = _child(point, key)
        counts = list(_numbers(side, "bucketCounts", _integer))
        sides[key] = side_of(_integer(side, "offset") or 0, counts)
    return NativeHistogram(
        count=float(_integer(point, "count") or 0),
        total=_double(point, "sum"),
        schema=_integer(point, "scale") or 0,
        zero_threshold=_double(point, "zeroThreshold") or 0.0,
        zero_count=float(_integer(point, "zeroCount") or 0),
        positive=sides["positive"],
        negative=sides["negative"],
    )


def _read_exemplar(exemplar: dict[str, Any]) -> OtlpExemplar:
    value = _double(exemplar, "asDouble")
    if value is None:
        number = _integer(exemplar, "asInt")
        value = None if number is None else float(number)
    found = _objects(exemplar, "filteredAttributes")
    pairs = list(_attributes({"attributes": found}))
    ids = (("span_id", "spanId"), ("trace_id", "traceId"))
    pairs += [(name, text) for name, key in ids if (text := _text(exemplar, key))]
    return OtlpExemplar(value, _integer(exemplar, "timeUnixNano"), tuple(pairs))


def _numbers(
    point: dict[str, Any], key: str, read: Callable[[dict[str, Any], str], _Number | None]
) -> Iterator[_Number]:
    entries = point.get(key)
    if entries is None:
        return
    if type(entries) is not list:
        raise MalformedOtlp(f"{key} must be an array.")
    for entry in entries:
        number = read({key: entry}, key)
        if number is None:
            raise MalformedOtlp(f"{key} must hold numbers.")
        yield number


def _attributes(holder: dict[str, Any]) -> Iterator[tuple[str, str]]:
    entries = _objects(holder, "attributes")
    if len(entries) > MAX_ATTRIBUTES:
        raise MalformedOtlp(f"There are more than {MAX_ATTRIBUTES} attributes in one place.")
    for entry in entries:
        yield _text(entry, "key"), attribute_text(_any_value(_child(entry, "value"), depth=1))


def _any_value(value: dict[str, Any], *, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise MalformedOtlp("An attribute is nested too deeply.")
    if "arrayValue" in value:
        parts = _objects(_child(value, "arrayValue"), "values")
        return [_any_value(part, depth=depth + 1) for part in parts]
    if "kvlistValue" in value:
        parts = _objects(_child(value, "kvlistValue"), "values")
        return {
            _text(part, "key"): _any_value(_child(part, "value"), depth=depth + 1) for part in parts
        }
    return _plain_value(value)


def _plain_value(value: dict[str, Any]) -> Any:
    if "boolValue" in value:
        return value["boolValue"] is True
    if "intValue" in value:
        return _integer(value, "intValue")
    if "doubleValue" in value:
        return _double(value, "doubleValue")
    return _text(value, "bytesValue") if "bytesValue" in value else _text(value, "stringValue")


def _objects(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = holder.get(key)
    if entries is None:
        return []
    if type(entries) is not list:
        raise MalformedOtlp(f"{key} must be an array.")
    return [_object(entry, f"each of {key}") for entry in entries]


def _child(holder: dict[str, Any], key: str) -> dict[str, Any]:
    child = holder.get(key)
    return {} if child is None else _object(child, key)


def _object(value: Any, what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise MalformedOtlp(f"{what} must be an object.")
    return value


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise MalformedOtlp(f"{key} must be text.")
    return value


def _integer(holder: dict[str, Any], key: str) -> int | None:
    value = holder.get(key)
    if value is None:
        return None
    if type(value) is str and _INTEGER.fullmatch(value):
        value = int(value)
    if type(value) is int and abs(value) < 1 << 64:
        return value
    raise MalformedOtlp(f"{key} must be a whole number of 64 bits, or one as text.")


def _double(holder: dict[str, Any], key: str) -> float | None:
    value = holder.get(key)
    if value is None:
        return None
    if type(value) is float or (type(value) is int and abs(value) < 1 << 64):
        return float(value)
    if type(value) is str and value in _NAMED_NUMBERS:
        return _NAMED_NUMBERS[value]
    raise MalformedOtlp(f"{key} must be a number.")
