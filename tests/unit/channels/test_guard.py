"""Which URLs and addresses may be asked."""

import socket
from ipaddress import ip_address

import pytest

from notifyflow.channels.http.guard import Guard, endpoint_faults, is_public
from notifyflow.errors import PermanentProviderError

GUARD = Guard(hosts=("hooks.slack.com", ".logic.azure.com"), trusted_endpoints=("127.0.0.1:8080", "lab.example.com:443"))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
        "64:ff9b::a00:1", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:a00:1::", "fc00::1", "fd12::1", "fe80::1", "fec0::1",
        "ff02::1", "3fff::1", "5f00::1", "100::1", "192.0.0.8", "::7f00:1", "::ffff:0:7f00:1", "::ffff:224.0.0.1",
    ],
)  # fmt: skip
def test_addresses_outside_the_public_internet_are_recognised(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "3.65.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T0/B0/x",
        "https://hooks.slack.com:443/services",
        "https://prod-1.westeurope.logic.azure.com:443/workflows/1?sig=x",
        "http://127.0.0.1:8080/anything",
        "https://lab.example.com/x",
    ],
)
def test_urls_within_the_rules_pass(url: str) -> None:
    GUARD.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.slack.com/services",
        "http://hooks.slack.com/services",
        "https://hooks.slack.com:8443/",
        "https://logic.azure.com.example.com/",
        "https://evil-hooks.slack.com/",
        "https://hooks.slack.com@example.com/",
        "https://user:pass@hooks.slack.com/",
        "https://hooks.slack.com\\@example.com/",
        "https://hooks.slack.com/a b",
        "https://hooks.slack.com/\n",
        "https://hooks.slack.com:0x50/",
        "https://[::1/",
        "https://127.0.0.1/",
        "http://127.0.0.1:8081/",
        "ftp://127.0.0.1:8080/",
        "https://höoks.slack.com/",
        "https://example.com%2f.logic.azure.com/",
        "https://example.com;.logic.azure.com/",
        "https://[::1].logic.azure.com/",
        "https://hooks.slack.com/" + "x" * 2048,
    ],
)
def test_urls_that_break_a_rule_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        GUARD.check(url)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "0"]
)
def test_an_internal_address_is_refused_before_any_request(host: str) -> None:
    with pytest.raises(ValueError, match="not on the public internet"):
        Guard().check(f"https://{host}/x")


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "example.com", "a_b.example.com", "dead.beef"])
def test_other_hosts_pass_where_all_are_allowed(host: str) -> None:
    Guard().check(f"https://{host}/x")


def test_a_port_that_is_none_is_trusted_by_nobody() -> None:
    assert not GUARD.is_trusted("https://127.0.0.1:99999/")


def test_a_base_url_is_https_unless_its_endpoint_is_trusted() -> None:
    assert not endpoint_faults("TWILIO_BASE_URL", "https://api.twilio.com", ())
    assert not endpoint_faults("TWILIO_BASE_URL", None, ())
    assert not endpoint_faults("TWILIO_BASE_URL", "http://127.0.0.1:8080", ("127.0.0.1:8080",))
    (fault,) = endpoint_faults("TWILIO_BASE_URL", "http://127.0.0.1:8080", ())
    assert fault.where == "NOTIFYFLOW_TWILIO_BASE_URL"


def answer(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the resolver know these addresses of every host."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_a_host_is_resolved_to_all_its_addresses_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "8.8.8.8", "1.1.1.1", "8.8.8.8")
    assert Guard().resolve("hooks.example.com", 443) == ["8.8.8.8", "1.1.1.1"]


@pytest.mark.parametrize("addresses", [("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8"), ("fe80::1%eth0",)])
def test_one_address_that_is_not_public_rules_its_host_out(addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, *addresses)
    with pytest.raises(PermanentProviderError) as raised:
        Guard().resolve("hooks.example.com", 443)
    assert raised.value.code == "private_address"
    assert Guard(trusted_endpoints=["Hooks.example.com:443"]).resolve("hooks.example.com", 443) == list(addresses)
    with pytest.raises(PermanentProviderError):
        Guard(trusted_endpoints=["hooks.example.com:444"]).resolve("hooks.example.com", 443)
