"""Decides where a message may be sent: which schemes, hosts, ports and resolved addresses."""

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from controlplane.lib.errors import GridError

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL = 2000
_HOST = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)*(?!-)[a-z0-9-]{1,63}(?<!-)")
# a last label that reads as a number makes some resolvers read the whole as an address
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_PLAIN = re.compile(r"[\x21-\x7e]+")
# what the library takes for global though it is not, by version; and IPv4 inside IPv6, where
# translators would reach what the IPv4 address names
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "100.64.0.0/10"),
        *("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"),
        *("2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TargetRefused(GridError):
    """The grid does not send anything there."""

    code = "target-refused"


@dataclass(frozen=True)
class Destination:
    """Where a message goes.

    Attributes:
        scheme: http or https.
        host: DNS name in lower case, or an address as its own family writes it.
        port: TCP port.
        path: path and query as sent.
        is_trusted: whether the settings name host and port, so that any address is allowed.
    """

    scheme: str
    host: str
    port: int
    path: str
    is_trusted: bool = False

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read_destination(
    url: str, *, ports: Collection[int], trusted: Collection[str] = ()
) -> Destination:
    """Return where a URL leads, if the grid may send anything there.

    Args:
        url: http or https, without user, password or fragment.
        ports: TCP ports that are allowed.
        trusted: `host:port` pairs that are allowed whatever their port and address.

    Raises:
        TargetRefused: it may not; the detail says why.
    """
    if len(url) > MAX_URL or not _PLAIN.fullmatch(url) or "\\" in url:
        raise TargetRefused("The address has characters that do not belong into one.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetRefused("The address cannot be read.") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise TargetRefused("Only http and https are spoken.")
    if "@" in parts.netloc or "#" in url:
        raise TargetRefused("The address has a user, a password or a fragment in it.")
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    host = _read_host(parts.hostname or "", is_bracketed=parts.netloc.startswith("["))
    is_trusted = f"{host}:{port}" in trusted
    if not is_trusted and port not in ports:
        allowed = ", ".join(map(str, sorted(ports)))
        raise TargetRefused(f"Port {port} is not one of those that are allowed ({allowed}).")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, path, is_trusted)


def choose_address(destination: Destination, resolved: Sequence[str]) -> str:
    """Return the address to connect to; every address that the name has must be allowed.

    One bad address refuses them all: who owns the name would else decide which one is taken.

    Args:
        destination: where the message goes.
        resolved: all addresses of its host, as text.

    Raises:
        TargetRefused: there is none, or one of them is not public.
    """
    if not resolved:
        raise TargetRefused(f"{destination.host} has no address.")
    for text in resolved:
        address = _read_address(text)
        if address is None or not (destination.is_trusted or is_public(address)):
            raise TargetRefused(f"{destination.host} leads to {text}, which is not public.")
    return resolved[0]


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet, and carries no other one in it.

    >>> is_public(ipaddress.ip_address("8.8.8.8")), is_public(ipaddress.ip_address("10.0.0.1"))
    (True, False)
    """
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _read_host(host: str, *, is_bracketed: bool) -> str:
    address = _read_address(host)
    if address is not None and (address.version == 6) == is_bracketed:
        return str(address)
    name = host.lower().removesuffix(".")
    if is_bracketed or not _HOST.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise TargetRefused("The host is neither a name nor an address in its usual form.")
    return name


def _read_address(text: str) -> Address | None:
    # a zone or a leading zero is not the usual form either
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
