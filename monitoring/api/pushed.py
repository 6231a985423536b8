"""Reads the bodies of pushes in every format that is taken, by their Content-Type."""

from django.http import HttpRequest

from controlplane.lib.bodies import (
    UnsupportedFormat,
    content_encoding,
    read_body,
    read_json_body,
)
from monitoring.domain.points import Points
from monitoring.domain.samples import Batch
from monitoring.formats import arrow, bounded, otlp_json, otlp_protobuf, remote_write, rows

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
# as JSON a byte costs more memory than as protobuf
OTLP_JSON_BYTES = 8 * 1024 * 1024


def kind_of(request: HttpRequest) -> str:
    """Return the media type of a request's body, without its parameters."""
    kind: str = request.META.get("CONTENT_TYPE", "")
    return kind.partition(";")[0].strip().lower()


def read_batch(request: HttpRequest) -> Batch:
    """Return the samples of a push in the grid's own formats: JSON or Arrow."""
    if kind_of(request) != arrow.MEDIA_TYPE:
        return rows.decode(read_json_body(request))
    if content_encoding(request) != "identity":
        raise UnsupportedFormat("Send the body as it is, without a Content-Encoding.")
    return arrow.decode(read_body(request))


def message_of(content_type: str) -> remote_write.Message:
    """Return which remote-write message a Content-Type names.

    Raises:
        UnsupportedFormat: none.
    """
    kind, _, parameters = content_type.partition(";")
    name, _, value = parameters.strip().partition("=")
    if kind.strip().lower() == PROTOBUF:
        if not name:
            return remote_write.Message.V1
        if name.strip().lower() == "proto" and value.strip() in set(remote_write.Message):
            return remote_write.Message(value.strip())
    raise UnsupportedFormat(
        "Send application/x-protobuf, with proto=io.prometheus.write.v2.Request for 2.0."
    )


def unpack_write(request: HttpRequest) -> bytes:
    """Return the unpacked body of a remote-write request."""
    if content_encoding(request) != "snappy":
        raise UnsupportedFormat("Send the body with Content-Encoding: snappy.")
    return bounded.unpack_snappy(read_body(request))


def is_otlp_json(request: HttpRequest) -> bool:
    """Whether an OTLP request is in JSON rather than protobuf.

    Raises:
        UnsupportedFormat: it is in neither.
    """
    kind = kind_of(request)
    if kind not in (PROTOBUF, JSON):
        raise UnsupportedFormat("Send application/x-protobuf or application/json.")
    return kind == JSON


def read_otlp(request: HttpRequest) -> Points:
    """Return the points of an OTLP request."""
    is_json = is_otlp_json(request)
    encoding = content_encoding(request)
    if encoding not in ("identity", "gzip"):
        raise UnsupportedFormat("Send the body plain or with Content-Encoding: gzip.")
    body = read_body(request)
    if encoding == "gzip":
        limit = OTLP_JSON_BYTES if is_json else bounded.MAX_DECODED_BYTES
        body = bounded.unpack_gzip(body, limit=limit)
    return otlp_json.decode(body) if is_json else otlp_protobuf.decode(body)
