"""Writes the messages of standard senders with protobuf's own library, as senders do."""

from typing import Any

import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = {
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "sint32": descriptor_pb2.FieldDescriptorProto.TYPE_SINT32,
    "sint64": descriptor_pb2.FieldDescriptorProto.TYPE_SINT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}
_HISTOGRAM = {
    "Span": [("offset", 1, "sint32", False), ("length", 2, "uint32", False)],
    "Histogram": [
        ("count", 1, "uint64", False),
        ("count_float", 2, "double", False),
        ("sum", 3, "double", False),
        ("schema", 4, "sint32", False),
        ("zero_threshold", 5, "double", False),
        ("zero_count", 6, "uint64", False),
        ("zero_count_float", 7, "double", False),
        ("negative_spans", 8, "Span", True),
        ("negative_deltas", 9, "sint64", True),
        ("negative_counts", 10, "double", True),
        ("positive_spans", 11, "Span", True),
        ("positive_deltas", 12, "sint64", True),
        ("positive_counts", 13, "double", True),
        ("timestamp", 15, "int64", False),
        ("custom_values", 16, "double", True),
    ],
}
# message -> (field, number, type, repeated); the specifications' own numbers
_V1 = {
    "WriteRequest": [("timeseries", 1, "TimeSeries", True), ("metadata", 3, "Metadata", True)],
    "TimeSeries": [
        ("labels", 1, "Label", True),
        ("samples", 2, "Sample", True),
        ("exemplars", 3, "Exemplar", True),
        ("histograms", 4, "Histogram", True),
    ],
    "Label": [("name", 1, "string", False), ("value", 2, "string", False)],
    "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
    "Exemplar": [
        ("labels", 1, "Label", True),
        ("value", 2, "double", False),
        ("timestamp", 3, "int64", False),
    ],
    **_HISTOGRAM,
    "Metadata": [("type", 1, "uint32", False), ("metric_family_name", 2, "string", False)],
}
_V2 = {
    "Request": [("symbols", 4, "string", True), ("timeseries", 5, "TimeSeries", True)],
    "TimeSeries": [
        ("labels_refs", 1, "uint32", True),
        ("samples", 2, "Sample", True),
        ("histograms", 3, "Histogram", True),
        ("exemplars", 4, "Exemplar", True),
        ("metadata", 5, "Metadata", False),
    ],
    "Sample": [
        ("value", 1, "double", False),
        ("timestamp", 2, "int64", False),
        ("start_timestamp", 3, "int64", False),
    ],
    "Exemplar": [
        ("labels_refs", 1, "uint32", True),
        ("value", 2, "double", False),
        ("timestamp", 3, "int64", False),
    ],
    **_HISTOGRAM,
    "Metadata": [("type", 1, "uint32", False), ("help_ref", 3, "uint32", False)],
}

PROTOBUF = "application/x-protobuf"
V2_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


def _classes(package: str, layout: dict[str, Any]) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    file.syntax = "proto3"
    for message, fields in layout.items():
        entry = file.message_type.add(name=message)
        for name, number, kind, is_repeated in fields:
            field = entry.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in layout
    }


V1 = _classes("test.v1", _V1)
V2 = _classes("test.v2", _V2)


def snappy(body: bytes) -> bytes:
    """Return a body in snappy's block format."""
    return bytes(pa.compress(body, codec="snappy", asbytes=True))


def write_v1(series: list[tuple[dict[str, str], list[tuple[int, float]]]]) -> bytes:
    """Return a remote-write 1.0 message: labels and (milliseconds, value) of each series."""
    request = V1["WriteRequest"]()
    for labels, samples in series:
        entry = request.timeseries.add()
        for name, value in labels.items():
            entry.labels.add(name=name, value=value)
        for at_ms, value in samples:
            entry.samples.add(timestamp=at_ms, value=value)
    return bytes(request.SerializeToString())


class V2Request:
    """Grows a remote-write 2.0 message with its table of symbols."""

    def __init__(self) -> None:
        self.message = V2["Request"](symbols=[""])

    def ref(self, text: str) -> int:
        """Return the position of a symbol."""
        symbols = self.message.symbols
        if text not in symbols:
            symbols.append(text)
        return list(symbols).index(text)

    def add(self, labels: dict[str, str], samples: list[tuple[int, float]]) -> Any:
        """Add a series and return it."""
        refs = [self.ref(text) for pair in labels.items() for text in pair]
        entry = self.message.timeseries.add(labels_refs=refs)
        for at_ms, value in samples:
            entry.samples.add(timestamp=at_ms, value=value)
        return entry

    def body(self) -> bytes:
        """Return the message."""
        return bytes(self.message.SerializeToString())
