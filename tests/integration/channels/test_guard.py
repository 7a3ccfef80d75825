"""A user's URL is connected to where the guard resolved it, while TLS still asks for the host."""

import gzip
import ssl
from contextlib import closing
from pathlib import Path

import pytest
from urllib3.exceptions import SSLError

from notifyflow.channels.http import Http
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.pools import Pools
from notifyflow.errors import PermanentProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings
from notifyflow.testing.scripted_http import DRIP, DRIP_HEADERS, http_server


class Loopback(Guard):
    """Resolves every host to this machine."""

    def resolve(self, host: str, port: int) -> list[str]:
        return ["127.0.0.1"]


def post(url: str, authority: Path) -> int:
    settings = Settings.from_variables({"NOTIFYFLOW_CA_BUNDLE": str(authority)})
    with closing(Pools(settings, Loopback())) as pools:
        return pools.request("POST", url, None, limit_bytes=100).status


def test_the_resolved_address_is_connected_to_and_the_hosts_name_is_verified(
    certificate: ssl.SSLContext, authority: Path
) -> None:
    with http_server(certificate) as server:
        assert post(f"https://hooks.slack.com:{server.port}/services/1", authority) == 200
        (request,) = server.requests
        assert request.headers["Host"] == f"hooks.slack.com:{server.port}"
        with pytest.raises(TemporaryProviderError) as raised:
            post(f"https://other.slack.com:{server.port}/services/1", authority)
        assert isinstance(raised.value.__cause__, SSLError)
        assert len(server.requests) == 1


def test_an_address_that_does_not_answer_gives_way_to_the_next_one_of_the_host() -> None:
    class TwoAddresses(Guard):
        def resolve(self, host: str, port: int) -> list[str]:
            return ["127.0.0.3", "127.0.0.1"]

    with http_server() as server, closing(Pools(Settings.from_variables({}), TwoAddresses())) as pools:
        assert pools.request("POST", f"http://two.example:{server.port}/", None, limit_bytes=100).status == 200


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "two..dots.example.com"])
def test_a_host_that_no_dns_can_have_is_the_fault_of_its_author(host: str) -> None:
    for guard, kind in ((Guard(), PermanentProviderError), (None, RefusedUsError)):
        with closing(Http(Settings.from_variables({}), guard=guard)) as http, pytest.raises(kind) as raised:
            http.post(f"https://{host}/", json={})
        assert raised.value.code == "address"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/1",
        "https://hooks.slack.com:8443/services/1",
        "https://hooks.slack.com.example.com/services/1",
        "https://user@hooks.slack.com/services/1",
        "https://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_breaks_the_rules_is_not_requested(url: str) -> None:
    http = Http(Settings.from_variables({}), guard=Guard(hosts=["hooks.slack.com"]))
    with pytest.raises(PermanentProviderError):
        http.post(url, json={})


def test_a_host_that_leads_inside_is_not_requested() -> None:
    http = Http(Settings.from_variables({}), guard=Guard())
    with pytest.raises(PermanentProviderError, match="public internet"):
        http.post("https://localhost/services/1", json={})


def test_a_host_that_cannot_be_resolved_is_tried_again_later() -> None:
    with pytest.raises(TemporaryProviderError):
        Guard().resolve("nobody.invalid", 443)


def test_a_response_that_drips_is_left_when_its_time_is_over() -> None:
    """Each byte begins the read time-out anew: without an end to all of it one server holds a thread past its leases."""
    with http_server() as server:
        settings = Settings.from_variables({"NOTIFYFLOW_CONNECT_TIMEOUT_S": "0.1", "NOTIFYFLOW_READ_TIMEOUT_S": "0.2"})
        server.respond(200, b"x" * 200, act=DRIP)
        response = Http(settings).post(server.url, json={})
    assert response.status == 200
    assert len(response.body) < 200


@pytest.mark.parametrize("is_given", [False, True])
def test_a_server_whose_headers_drip_is_cut_off(is_given: bool) -> None:
    """Before the headers are whole, nothing but the connection itself can end the wait."""
    with http_server() as server:
        settings = Settings.from_variables({"NOTIFYFLOW_CONNECT_TIMEOUT_S": "0.1", "NOTIFYFLOW_READ_TIMEOUT_S": "0.2"})
        server.respond(200, act=DRIP_HEADERS)
        http = Http(settings, guard=Guard(trusted_endpoints=[server.endpoint]) if is_given else None)
        with pytest.raises(UnknownOutcomeError) as raised:
            http.get(server.url)
        assert raised.value.code == "timeout"
        http.close()


def test_a_response_without_end_is_read_up_to_a_cap_also_where_it_is_packed() -> None:
    with http_server() as server:
        http = Http(Settings.from_variables({}), guard=Guard(trusted_endpoints=[server.endpoint]))
        bomb = gzip.compress(bytes(50_000_000))
        for body, headers in ((b"x" * 1_000_000, {}), (bomb, {"Content-Encoding": "gzip"})):
            server.respond(200, body, headers)
            assert len(http.post(server.url, json={}).body) == 65_536
        assert server.requests[0].headers["Accept-Encoding"] == "identity"
        http.close()
