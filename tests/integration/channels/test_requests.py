"""What goes out is what requests would send, which is the oracle here: urllib3's pools send it without requests' layer."""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from notifyflow.channels.http import Http
from notifyflow.channels.http.guard import Guard
from notifyflow.errors import RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings
from notifyflow.testing.scripted_http import HttpServer, Request, http_server, serving
from notifyflow.version import __version__

TEXT = "Größe: 5 € & mehr = ~100 %"


def an_http(guard: Guard | None = None, **settings: str) -> Http:
    return Http(Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in settings.items()}), guard=guard)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


@pytest.fixture
def http() -> Iterator[Http]:
    with closing(an_http()) as http:
        yield http


def shown(request: Request) -> tuple[str, str, bytes, dict[str, str]]:
    """Return what a provider can read, without what names the client."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return request.method, request.path, request.body, {name: headers[name] for name in headers.keys() - _OF_THE_CLIENT}


_OF_THE_CLIENT = {"user-agent", "connection"}


@pytest.mark.parametrize(
    "sent",
    [
        {"form": {"To": "+4915112345678", "Body": TEXT, "Event": ["ringing", "answered"], "None": None, "Times": 3, "Is": True}},
        {"form": {"To": "1"}, "headers": {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}},
        {"form": {}},
        {"body": TEXT.encode(), "headers": {"X-Signature": "v1,abc="}},
        {"body": b"wins", "form": {"over": "a form"}},
        {"body": b""},
        {"headers": {"accept": "application/json", "ACCEPT-ENCODING": "gzip", "X-Latin": "\xe4"}},
        {"auth": ("AC1", "pass:wörd")},
        {"auth": ("", "token"), "headers": {"authorization": "Bearer other"}},
    ],
    ids=str,
)
def test_a_post_is_what_requests_would_send(sent: dict[str, Any], server: HttpServer, http: Http) -> None:
    url = f"{server.url}/services/1"
    http.post(url, **sent)
    data = sent["form"] if sent.get("body") is None and "form" in sent else sent.get("body")
    headers = {"Accept-Encoding": "identity"} | {name.title(): value for name, value in sent.get("headers", {}).items()}
    requests.post(url, data=data, headers=headers, auth=sent.get("auth"), timeout=10)
    ours, theirs = map(shown, server.requests)
    assert ours == theirs


@pytest.mark.parametrize(
    "target",
    [
        "/a%20b/%7euser?x=%C3%A4&y=a+b",
        "/workflows/1/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sig=a-b_c~d%3D",
        "/ä/日本?q=ü",
        "/a b?c d",
        "?only=query",
        "",
        "/with#fragment",
        "/100%",
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_url_names_what_requests_would_ask_for(method: str, target: str, server: HttpServer, http: Http) -> None:
    getattr(http, method)(server.url + target)
    requests.request(method, server.url + target, headers={"Accept-Encoding": "identity"}, timeout=10)
    ours, theirs = map(shown, server.requests)
    assert requests.utils.unquote_unreserved(ours[1]) == theirs[1]
    assert (ours[0], ours[2:]) == (theirs[0], theirs[2:])


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_login_within_a_url_is_sent_unless_there_is_another_one(method: str, server: HttpServer, http: Http) -> None:
    url = f"http://us%40er:p%3Ass@{server.endpoint}/"
    getattr(http, method)(url)
    getattr(http, method)(url, auth=("a", "b"))
    logins = [base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) for request in server.requests]
    assert logins == [b"us@er:p:ss", b"a:b"]


def test_a_query_joins_the_one_of_its_url(server: HttpServer, http: Http) -> None:
    http.get(f"{server.url}/list?page=2", query={"to": "+49 1", "none": None, "many": ["a", "b"]})
    assert server.requests[0].path == "/list?page=2&to=%2B49+1&many=a&many=b"


def test_a_request_names_who_sends_it_once(server: HttpServer, http: Http) -> None:
    http.post(server.url, json={})
    http.post(server.url, json={}, headers={"user-agent": "twilio-python/9"})
    assert [{name.lower(): value for name, value in request.headers.items()}["user-agent"] for request in server.requests] == [
        f"notifyflow/{__version__}",
        "twilio-python/9",
    ]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Odd": "two\r\nX-More: lines"},
        {"X-Odd": "folded\n line"},
        {"X-Odd": " begins with a blank"},
        {"X-Odd\r\nX-More": "x"},
        {"X-Odd:": "x"},
        {"": "x"},
        {"X-Odd": "€"},
        {"X-€": "x"},
        {"X-Odd": 5},
        {"X-Odd": None},
    ],
    ids=str,
)
def test_a_header_that_http_does_not_take_is_a_fault_of_ours(
    method: str, headers: dict[str, Any], server: HttpServer, http: Http
) -> None:
    with pytest.raises(RefusedUsError) as raised:
        getattr(http, method)(server.url, headers=headers)
    assert (raised.value.code, raised.value.is_general) == ("header", False)
    assert server.requests == []
    assert getattr(http, method)(server.url).status == 200, "the next request is none the worse"


def test_a_response_whose_headers_contradict_each_other_leaves_the_outcome_unknown(server: HttpServer, http: Http) -> None:
    server.respond(200, b"{}", {"Content-Length": "1"})  # beside the true one
    with pytest.raises(UnknownOutcomeError):
        http.post(server.url, json={})


def test_a_login_that_http_cannot_write_is_a_fault_of_ours(server: HttpServer, http: Http) -> None:
    with pytest.raises(RefusedUsError):
        http.post(server.url, json={}, auth=("ada", "5 €"))
    assert server.requests == []


@pytest.mark.parametrize(
    "url", ["https://", "https:///path", "example.com/x", "//example.com", "ftp://example.com", "https://[::1", "https://a:x/"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_url_of_the_settings_that_cannot_be_asked_is_a_fault_of_ours(method: str, url: str, http: Http) -> None:
    with pytest.raises(RefusedUsError) as raised:
        getattr(http, method)(url)
    assert raised.value.code == "address"


def test_a_host_in_unicode_is_asked_for_by_its_name_in_ascii(server: HttpServer) -> None:
    class Loopback(Guard):
        def __init__(self) -> None:
            super().__init__()
            self.hosts: list[str] = []

        def check(self, url: str) -> None:
            pass

        def resolve(self, host: str, port: int) -> list[str]:
            self.hosts.append(host)
            return ["127.0.0.1"]

    guard = Loopback()
    with closing(an_http(guard)) as http:
        http.post(f"HTTP://Bücher.example:{server.port}/", json={})
    assert guard.hosts == ["xn--bcher-kva.example"]
    assert server.requests[0].headers["Host"] == f"xn--bcher-kva.example:{server.port}"


def test_the_login_of_a_proxy_is_shown_to_the_proxy_and_plain_http_goes_past_it(server: HttpServer) -> None:
    server.respond(502)
    proxy = f"http://us%40er:p%3Ass@{server.endpoint}"
    with closing(an_http(HTTPS_PROXY=proxy)) as http:
        for url in ("https://example.com/x", "HTTPS://example.com/x"):
            with pytest.raises(TemporaryProviderError):
                http.post(url, json={}, auth=("ada", "secret"))
        assert http.post(f"{server.url}/plain", json={}).status == 502
    *tunnels, plain = server.requests
    assert {(request.method, request.path, request.headers["Proxy-Authorization"]) for request in tunnels} == {
        ("CONNECT", "example.com:443", f"Basic {base64.b64encode(b'us@er:p:ss').decode()}")
    }
    assert not any("Authorization" in request.headers for request in tunnels)
    assert (plain.path, "Proxy-Authorization" in plain.headers) == ("/plain", False)


def test_a_proxy_without_a_login_is_shown_none(server: HttpServer) -> None:
    server.respond(502)
    with closing(an_http(HTTPS_PROXY=server.url)) as http, pytest.raises(TemporaryProviderError):
        http.post("https://example.com/x", json={})
    assert "Proxy-Authorization" not in server.requests[0].headers


def test_the_authorities_are_those_of_the_settings_alone(
    certificate: ssl.SSLContext, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority))
    with http_server(certificate) as server:
        url = f"https://localhost:{server.port}/"
        for method in ("get", "post"):
            with closing(an_http()) as http, pytest.raises(TemporaryProviderError) as raised:
                getattr(http, method)(url)
            assert raised.value.code == "no_connection"
            assert server.requests == []
        with closing(an_http(CA_BUNDLE=str(authority))) as http:
            assert http.post(url, json={}).status == 200


class Kept:
    """A server that keeps its connections open.

    Attributes:
        peers: The port of the client, for each request.
    """

    def __init__(self) -> None:
        self.port = 0
        self.released = threading.Event()
        self.peers: list[int] = []


@pytest.fixture
def kept() -> Iterator[Kept]:
    script = Kept()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            script.peers.append(self.client_address[1])
            self.send_response(int(self.path[1:]))
            self.send_header("Set-Cookie", "tracked=1")
            self.send_header("Location", "/200")
            if "Cookie" in self.headers:
                self.send_header("X-Cookie", "1")
            body = b"" if self.path == "/204" else b'{"ok": true}'
            if body:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server, script):
        yield script


def test_requests_of_a_thread_share_a_connection_and_keep_nothing_else(kept: Kept) -> None:
    with closing(an_http(Guard(trusted_endpoints=[f"127.0.0.1:{kept.port}"]))) as http:
        for status in (200, 204, 302, 500, 200):
            response = http.post(f"http://127.0.0.1:{kept.port}/{status}", json={})
            assert (response.status, response.headers.get("x-cookie")) == (status, None)
            assert response.headers["SET-COOKIE"] == "tracked=1"
        assert len(kept.peers) == 5, "a redirect is not followed"
        assert len(set(kept.peers)) == 1
        other = threading.Thread(target=http.post, args=(f"http://127.0.0.1:{kept.port}/200",), kwargs={"json": {}})
        other.start()
        other.join()
        assert len(set(kept.peers)) == 2


def test_http_that_was_closed_connects_again(kept: Kept) -> None:
    http = an_http()
    for _ in range(2):
        assert http.post(f"http://127.0.0.1:{kept.port}/200", json={}).status == 200
        http.close()
    assert len(set(kept.peers)) == 2
