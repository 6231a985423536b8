"""Unpacks compressed bodies up to a limit that is known before any of it is unpacked."""

import zlib

import pyarrow as pa

from controlplane.lib.errors import ErrorKind, GridError

MAX_DECODED_BYTES = 32 * 1024 * 1024
# a copy of 64 bytes takes 3 in snappy's block format: more than this no encoder can reach
_SNAPPY_BEST_RATIO = 24
_GZIP = 31


class MalformedEncoding(GridError):
    """The body is not what its Content-Encoding says."""

    code = "malformed-body"


class DecodedTooLarge(GridError):
    """Unpacked, the body is larger than this address takes."""

    code = "body-too-large"
    kind = ErrorKind.TOO_LARGE


def unpack_snappy(body: bytes) -> bytes:
    """Return what a body in snappy's block format holds.

    Args:
        body: compressed; the framed format is another one and is refused.

    Raises:
        DecodedTooLarge: by its first bytes the body claims more than 32 MiB.
        MalformedEncoding: it is no snappy block, or claims what it cannot hold.
    """
    size = _claimed_size(body)
    if size > MAX_DECODED_BYTES:
        raise _too_large()
    if size > len(body) * _SNAPPY_BEST_RATIO:
        raise MalformedEncoding("The body is not in snappy's block format.")
    try:
        unpacked: bytes = pa.decompress(body, decompressed_size=size, codec="snappy", asbytes=True)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise MalformedEncoding("The body is not in snappy's block format.") from error
    return unpacked


def unpack_gzip(body: bytes, *, limit: int = MAX_DECODED_BYTES) -> bytes:
    """Return what a gzip body holds.

    Args:
        body: one gzip member, nothing after it.
        limit: bytes that are taken at most.

    Raises:
        DecodedTooLarge: it holds more than the limit; no more than that was unpacked.
        MalformedEncoding: it is no gzip, cut short, or goes on after its end.
    """
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedEncoding("The body is not gzip.") from error
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedEncoding("The gzip body is cut short, or goes on after its end.")
    return unpacked


def _claimed_size(body: bytes) -> int:
    size = 0
    for position, byte in enumerate(body[:5]):
        size |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return size
    raise MalformedEncoding("The body is not in snappy's block format.")


def _too_large(limit: int = MAX_DECODED_BYTES) -> DecodedTooLarge:
    detail = f"Unpacked, a body may have at most {limit} bytes; send several."
    return DecodedTooLarge(detail, limit_bytes=limit)
