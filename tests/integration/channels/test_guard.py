"""A user's URL is connected to where the guard resolved it, while TLS still asks for the host."""

import gzip
import ssl
from pathlib import Path

import pytest
import requests

from notifyflow.channels.http import Http
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.pinning import PinnedAdapter
from notifyflow.errors import PermanentProviderError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings
from notifyflow.testing.scripted_http import DRIP, DRIP_HEADERS, http_server


class Loopback(Guard):
    """Resolves every host to this machine."""

    def resolve(self, host: str, port: int) -> str:
        return "127.0.0.1"


def get(url: str, authority: Path) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", PinnedAdapter(Loopback()))
        return session.post(url, verify=str(authority), timeout=10).status_code


def test_the_resolved_address_is_connected_to_and_the_hosts_name_is_verified(
    certificate: ssl.SSLContext, authority: Path
) -> None:
    with http_server(certificate) as server:
        assert get(f"https://hooks.slack.com:{server.port}/services/1", authority) == 200
        (request,) = server.requests
        assert request.headers["Host"] == f"hooks.slack.com:{server.port}"
        with pytest.raises(requests.exceptions.SSLError):
            get(f"https://other.slack.com:{server.port}/services/1", authority)


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
