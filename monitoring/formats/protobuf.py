"""Walks protobuf messages field by field: no schema compiler, no recursion, bounded work."""

import struct
from collections.abc import Iterator

from controlplane.lib.errors import GridError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_SKIPPED_FIELDS = 200_000

_DOUBLE = struct.Struct("<d")
_UNSIGNED = struct.Struct("<Q")
_SIGNED = struct.Struct("<q")
# number, wire type, and where the value lies; of a varint the value itself and 0
Field = tuple[int, int, int, int]


class MalformedProtobuf(GridError):
    """The body is not the protobuf message that this address takes."""

    code = "malformed-body"


class Patience:
    """Ends a walk through fields that nobody asked for."""

    def __init__(self, fields: int = MAX_SKIPPED_FIELDS) -> None:
        self._left = fields

    def skip(self) -> None:
        """Note one field that is passed over.

        Raises:
            MalformedProtobuf: there were too many.
        """
        self._left -= 1
        if self._left < 0:
            raise MalformedProtobuf("The message has too many fields that are not known here.")


def fields(body: bytes, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message in body[start:end] in their order.

    Raises:
        MalformedProtobuf: a field reaches past the end, or is of a kind that is not in use.
    """
    at = start
    while at < end:
        tag = body[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = varint(body, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise MalformedProtobuf("A field has the number 0.")
        if kind == BYTES:
            size, at = varint(body, at, end)
            found, at = (number, kind, at, at + size), at + size
        elif kind == VARINT:
            value, at = varint(body, at, end)
            found = (number, kind, value, 0)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            found, at = (number, kind, at, at + size), at + size
        else:
            raise MalformedProtobuf("A field is of a kind that is not in use.")
        if at > end:
            raise MalformedProtobuf("A field reaches past the end of its message.")
        yield found


def varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number that starts at a position, and the position after it.

    Raises:
        MalformedProtobuf: it does not end in time, or is longer than 64 bits.
    """
    value = shift = 0
    while at < end and shift < 70:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise MalformedProtobuf("A number does not end where it must.")


def signed(value: int) -> int:
    """Return a varint's value as int64."""
    return value - (1 << 64) if value >= 1 << 63 else value


def double_at(body: bytes, at: int) -> float:
    """Return the double at a position."""
    value: float = _DOUBLE.unpack_from(body, at)[0]
    return value


def fixed_at(body: bytes, at: int, *, is_signed: bool = False) -> int:
    """Return the 64-bit integer at a position."""
    value: int = (_SIGNED if is_signed else _UNSIGNED).unpack_from(body, at)[0]
    return value


def text_at(body: bytes, start: int, end: int) -> str:
    """Return the text at a position.

    Raises:
        MalformedProtobuf: it is not UTF-8.
    """
    try:
        return body[start:end].decode()
    except UnicodeDecodeError as error:
        raise MalformedProtobuf("A text is not UTF-8.") from error


def require(kind: int, expected: int) -> None:
    """Refuse a field that came as another kind than its number stands for.

    Raises:
        MalformedProtobuf: it did.
    """
    if kind != expected:
        raise MalformedProtobuf("A field is of another kind than it should be.")
