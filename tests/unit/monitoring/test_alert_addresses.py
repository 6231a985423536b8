"""Where messages may go: no address inside, in whatever form it is written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.alerting.addresses import (
    Destination,
    TargetRefused,
    choose_address,
    is_public,
    read_destination,
)
from monitoring.domain.alerting.targets import BadTarget, read_target

PORTS = (80, 443, 8443)


def read(url, *, trusted=()):
    return read_destination(url, ports=PORTS, trusted=trusted)


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://example.org/hook?a=b", Destination("https", "example.org", 443, "/hook?a=b")),
        ("http://EXAMPLE.org.", Destination("http", "example.org", 80, "/")),
        ("https://8.8.8.8:8443/x", Destination("https", "8.8.8.8", 8443, "/x")),
        ("https://[2001:4860:4860::8888]/", Destination("https", "2001:4860:4860::8888", 443, "/")),
        ("https://xn--fiqs8s.example/", Destination("https", "xn--fiqs8s.example", 443, "/")),
    ],
)
def test_usual_addresses_are_read(url, destination):
    assert read(url) == destination


def test_the_host_header_names_the_port_only_when_it_is_not_the_usual_one():
    assert read("https://example.org/").authority == "example.org"
    assert read("https://example.org:8443/").authority == "example.org:8443"
    assert read("https://[2001:4860:4860::8888]:8443/").authority == "[2001:4860:4860::8888]:8443"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.org/",
        "ftp://example.org/",
        "//example.org/",
        "example.org",
        "",
        "https://",
        "https://example.org:6379/",
        "https://example.org:22/",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org:port/",
        "https://user@example.org/",
        "https://user:pass@example.org/",
        "https://8.8.8.8@127.0.0.1/",
        "https://example.org/#part",
        "https://example.org\\@127.0.0.1/",
        "https://exa mple.org/",
        "https://example.org/\r\nHost: inside",
        "https://例え.jp/",
        "https://①②⑦.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://017700000001/",
        "https://127.1/",
        "https://127.0.0.01/",
        "https://0177.0.0.1/",
        "https://1.2.3.4.5/",
        "https://256.256.256.256/",
        "https://[fe80::1%25eth0]/",
        "https://[127.0.0.1]/",
        "https://[::1/",
        "https://-example.org/",
        "https://exa_mple.org/",
        "https://example..org/",
        "https://" + "a" * 64 + ".org/",
        "https://example.org/" + "a" * 2000,
    ],
)
def test_what_is_no_usual_address_is_refused(url):
    with pytest.raises(TargetRefused):
        read(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 (nobody listens there)
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_addresses_inside_are_refused_though_a_name_leads_there(address):
    destination = read("https://example.org/")

    with pytest.raises(TargetRefused, match="not public"):
        choose_address(destination, [address])
    with pytest.raises(TargetRefused, match="not public"):
        choose_address(destination, ["8.8.8.8", address])


def test_the_first_of_public_addresses_is_taken():
    resolved = ["8.8.8.8", "2001:4860:4860::8888"]

    assert choose_address(read("https://example.org/"), resolved) == "8.8.8.8"


def test_a_name_without_an_address_is_refused():
    with pytest.raises(TargetRefused, match="no address"):
        choose_address(read("https://example.org/"), [])


def test_only_the_very_host_and_port_of_the_settings_are_trusted():
    trusted = ("127.0.0.1:9093",)
    inside = read("http://127.0.0.1:9093/api/v2/alerts", trusted=trusted)

    assert choose_address(inside, ["127.0.0.1"]) == "127.0.0.1"
    for url in ("http://127.0.0.1:9094/", "http://127.0.0.2:9093/", "http://localhost:9093/"):
        with pytest.raises(TargetRefused):
            read(url, trusted=trusted)


@given(st.ip_addresses(v=4))
def test_no_private_address_passes_in_any_of_its_forms(address):
    number = int(address)
    forms = [
        str(address),
        f"::ffff:{address}",
        str(ipaddress.IPv6Address((0x64FF9B << 96) | number)),
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
    ]

    passes = [is_public(ipaddress.ip_address(form)) for form in forms]

    assert passes[1:] == [False, False, False]
    assert not (passes[0] and not address.is_global)


GOOD = {"name": "on-call", "url": "https://example.org/"}


def test_a_target_says_only_what_differs_from_its_forms_usual_terms():
    webhook = read_target(GOOD)
    manager = read_target({**GOOD, "form": "alertmanager"})

    assert (webhook["group_by"], webhook["resend_s"]) == (["alertname"], 14_400.0)
    assert (manager["group_by"], manager["resend_s"]) == ([], 60.0)
    assert webhook["is_enabled"] is webhook["send_resolved"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"url": 7}, "url"),
        ({"form": "email"}, "form"),
        ({"form": []}, "form"),
        ({"match": []}, "match"),
        ({"match": {"a b": ["x"]}}, "match"),
        ({"match": {"severity": "critical"}}, "match"),
        ({"match": {"severity": []}}, "match"),
        ({"match": {"severity": [7]}}, "match"),
        ({"group_by": "alertname"}, "group_by"),
        ({"group_by": ["severity"]}, "group_by"),
        ({"form": "alertmanager", "group_by": ["region"]}, "group_by"),
        ({"resend_s": 1}, "resend_s"),
        ({"resend_s": True}, "resend_s"),
        ({"resend_s": float("nan")}, "resend_s"),
        ({"group_interval_s": -1}, "group_interval_s"),
        ({"send_resolved": "yes"}, "send_resolved"),
        ({"is_enabled": 1}, "is_enabled"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_a_target_that_cannot_be_followed_is_refused_by_its_field(change, field):
    with pytest.raises(BadTarget) as refusal:
        read_target({**GOOD, **change})

    assert refusal.value.extra["field"] == field
