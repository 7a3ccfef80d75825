"""One contract for every provider over HTTP: how it classifies each response, and a missing one.

Subclass ``ChannelContract`` in a test module and give it ``benches``; pytest runs the contract for each of them.
"""

import contextlib
import functools
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from notifyflow.channels.templating import SAMPLE
from notifyflow.core.messages.bundle_words import bundle_of
from notifyflow.plugin import (
    Accepted,
    Channel,
    OutboundMessage,
    PermanentProviderError,
    Provider,
    ProviderCapabilities,
    ProviderError,
    RefusedUsError,
    Settings,
    Table,
    TemporaryProviderError,
    UnknownOutcomeError,
    Verdict,
)
from notifyflow.testing.scripted_http import CUT, HANG, HttpServer, http_server

Response = tuple[int, bytes, Mapping[str, str]]
ATTEMPT = "0195e1f0a0b07c3e8f0a1b2c3d4e5f60"
ERRORS: Mapping[Verdict, type[ProviderError]] = {
    Verdict.TEMPORARY: TemporaryProviderError,
    Verdict.PERMANENT: PermanentProviderError,
    Verdict.OURS: RefusedUsError,
    Verdict.UNKNOWN: UnknownOutcomeError,
}
_AT = datetime(2026, 11, 25, 3, 0, 10, tzinfo=UTC)
_PREFIX = "NOTIFYFLOW_"
_STATUS = re.compile(r"\d(\d\d|xx)")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One provider over HTTP, as the contract needs it: how it is built, and how the real service responds.

    Attributes:
        name: The name of the case.
        channel: The class of the channel; the contract tests its first provider.
        codes: The table of the provider's codes.
        variables: Returns the environment variables that configure the channel for a base URL of the service. Those whose name
            begins with ``NOTIFYFLOW_`` become settings; the channel finds the others in the environment.
        address: A recipient's address. If it begins with a slash, the base URL comes before it.
        host: The host of the real service.
        accepted: How the service responds when it accepts a message: status, body, headers.
        refused: Returns how it responds with a status and a code; the code may be empty.
        provider_ref: The id of the message in ``accepted``; empty if the provider gives none.
        needs_body: Whether an acceptance is known by its body.
        has_receipts: Whether a public URL is enough for receipts to come in.
        text: Returns the message that a request's body carries, for a service that gets it encoded.
    """

    name: str
    channel: type[Channel]
    codes: Table
    variables: Callable[[str], Mapping[str, str]]
    address: str
    host: str
    accepted: Response
    refused: Callable[[int, str], Response]
    provider_ref: str = ""
    needs_body: bool = True
    has_receipts: bool = False
    text: Callable[[bytes], str] = bytes.decode

    @contextlib.contextmanager
    def provider(self, server: HttpServer | int, *, url: str = "", **settings: str) -> Iterator[tuple[Provider, OutboundMessage]]:
        """Build the provider against a server, or a port of this host, and close it at the end.

        Args:
            server: The server, which the settings trust.
            url: The base URL in the settings, if it is not the server's.
            **settings: More settings, without ``NOTIFYFLOW_``.
        """
        endpoint = f"127.0.0.1:{server}" if isinstance(server, int) else server.endpoint
        base = url or f"http://{endpoint}"
        more = {f"{_PREFIX}{name}": value for name, value in settings.items()}
        variables = {f"{_PREFIX}TRUSTED_ENDPOINTS": endpoint, **self.variables(base), **more}
        channel = _build(self.channel, tuple(variables.items()))
        address = f"{base}{self.address}" if self.address.startswith("/") else self.address
        try:
            yield channel.providers[0], a_message(channel.check_address(address))
        finally:
            channel.close()

    def send(self, server: HttpServer | int, **settings: str) -> Accepted:
        """Send one message, and return what the provider returned."""
        with self.provider(server, **settings) as (provider, message):
            return provider.send(message)

    def refuse(self, server: HttpServer | int, **settings: str) -> ProviderError:
        """Send one message, and return the error that the provider raised."""
        with pytest.raises(ProviderError) as caught:
            self.send(server, **settings)
        return caught.value


@functools.cache  # boto3 needs a while to read its models
def _build(kind: type[Channel], variables: tuple[tuple[str, str], ...]) -> Channel:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables:
            if not name.startswith(_PREFIX):
                environment.setenv(name, value)
        settings = Settings.from_variables({name: value for name, value in variables if name.startswith(_PREFIX)})
        channel = kind.from_settings(settings)
    assert not channel.faults, channel.faults
    return channel


def a_message(address: str, **more: Any) -> OutboundMessage:
    """Return a page to an address."""
    return OutboundMessage(attempt_id=ATTEMPT, notification_id="n1", address=address, content=SAMPLE, at=_AT, **more)


def row_cases(benches: Sequence[Bench]) -> list[tuple[Bench, str, int, str]]:
    """Return every row of every table once: the bench, the row's code, and the status and the code of the response."""
    cases = []
    seen = set()
    for bench in benches:
        for code, row in bench.codes.items():
            if (bench.refused, row) in seen:  # several channels of one client have one table
                continue
            seen.add((bench.refused, row))
            is_status = _STATUS.fullmatch(code)
            cases.append((bench, code, int(code.replace("xx", "02")) if is_status else 400, "" if is_status else code))
    return cases


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Keep a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


class ChannelContract:
    """The tests of the contract; a subclass whose name begins with ``Test`` runs them.

    Attributes:
        benches: The providers.
    """

    benches: ClassVar[Sequence[Bench]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each bench, and the test of the codes for each row of the tables."""
        if "row" in metafunc.fixturenames:
            cases = row_cases(self.benches)
            metafunc.parametrize(("bench", "row", "status", "code"), cases, ids=lambda value: getattr(value, "name", str(value)))
        elif "bench" in metafunc.fixturenames:
            metafunc.parametrize("bench", self.benches, ids=lambda bench: bench.name)

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[HttpServer]:
        """Run the service, which responds as scripted."""
        with http_server() as script:
            yield script

    def test_an_acceptance_is_one_request_and_keeps_the_providers_id(self, bench: Bench, server: HttpServer) -> None:
        server.respond(*bench.accepted)
        accepted = bench.send(server)
        assert len(server.requests) == 1
        assert accepted.provider_ref == bench.provider_ref

    def test_a_text_that_is_no_address_is_refused_and_not_repeated(self, bench: Bench, server: HttpServer) -> None:
        text = "no address, nowhere"
        with pytest.raises(ValueError, match=r".") as caught, replace(bench, address=text).provider(server):
            pass
        assert text not in str(caught.value)

    def test_only_what_has_a_callback_path_claims_receipts(self, bench: Bench, server: HttpServer) -> None:
        with bench.provider(server) as (provider, _):
            assert provider.capabilities == ProviderCapabilities()
        with bench.provider(server, PUBLIC_URL="https://page.example.com") as (provider, _):
            assert provider.capabilities.has_receipts is bench.has_receipts

    def test_a_bundle_counts_all_names_the_worst_and_has_its_own_link(self, bench: Bench, server: HttpServer) -> None:
        capabilities = bench.channel.capabilities
        if not capabilities.is_bundled or capabilities.is_call:  # a call says what it has time for
            return
        server.respond(*bench.accepted)
        carried = [replace(SAMPLE, title=f"title-{number}") for number in range(capabilities.names + 434)]
        content = bundle_of(
            carried, named=capabilities.names, oldest=carried[-1], link="https://page.example.com/a/all-of-them", reply="ALL 42"
        )
        with bench.provider(server) as (provider, message):
            provider.send(replace(message, content=content))
        (request,) = server.requests
        said = bench.text(request.body)
        assert {int(number) for number in re.findall(r"title-(\d+)", said)} == set(range(capabilities.names))
        assert str(len(carried)) in said
        assert "all-of-them" in said

    def test_many_threads_may_send_at_a_time(self, bench: Bench, server: HttpServer) -> None:
        server.respond(*bench.accepted)
        with bench.provider(server) as (provider, message), ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(provider.send, [message] * 24))) == 1
        assert len(server.requests) == 24

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (400, RefusedUsError),
            (401, RefusedUsError),
            (403, RefusedUsError),
            (402, RefusedUsError),
            (404, RefusedUsError),
            (408, TemporaryProviderError),
            (410, RefusedUsError),
            (413, RefusedUsError),
            (418, RefusedUsError),
            (429, TemporaryProviderError),
            (500, TemporaryProviderError),
            (502, UnknownOutcomeError),
            (503, TemporaryProviderError),
            (504, UnknownOutcomeError),
            (599, TemporaryProviderError),
        ],
    )
    def test_a_status_without_a_known_code_decides(
        self, bench: Bench, server: HttpServer, status: int, expected: type[ProviderError]
    ) -> None:
        own = bench.codes.get(str(status)) or bench.codes.get(f"{status // 100}xx")
        if own is not None:
            expected = ERRORS[own.verdict]
        server.respond(*bench.refused(status, ""))
        assert type(bench.refuse(server)) is expected
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [400, 405, 411, 413, 415, 422])
    def test_a_response_that_blames_our_request_is_never_the_recipients_fault(
        self, bench: Bench, server: HttpServer, status: int
    ) -> None:
        server.respond(*bench.refused(status, ""))
        assert not isinstance(bench.refuse(server), PermanentProviderError)

    @pytest.mark.parametrize(("status", "code"), [(429, "429"), (503, "503")])
    def test_retry_after_is_kept(self, bench: Bench, server: HttpServer, status: int, code: str) -> None:
        response_status, body, headers = bench.refused(status, "")
        server.respond(response_status, body, {**headers, "Retry-After": "7"})
        error = bench.refuse(server)
        assert isinstance(error, TemporaryProviderError)
        assert error.retry_after_s == 7

    def test_a_redirect_is_not_followed(self, bench: Bench, server: HttpServer) -> None:
        server.respond(302, b"", {"Location": f"{server.url}/elsewhere"})
        error = bench.refuse(server)
        assert isinstance(error, ERRORS[bench.codes["3xx"].verdict] if "3xx" in bench.codes else RefusedUsError)
        assert len(server.requests) == 1

    def test_no_connection_is_a_definite_no(self, bench: Bench) -> None:
        with closed_port() as port:
            error = bench.refuse(port)
        assert isinstance(error, TemporaryProviderError)
        assert error.code == "no_connection"

    def test_a_connection_that_is_cut_after_the_request_leaves_it_unknown(self, bench: Bench, server: HttpServer) -> None:
        server.respond(0, act=CUT)
        assert isinstance(bench.refuse(server), UnknownOutcomeError)
        assert len(server.requests) == 1

    def test_a_provider_that_hangs_leaves_it_unknown(self, bench: Bench, server: HttpServer) -> None:
        server.respond(0, act=HANG)
        assert isinstance(bench.refuse(server, READ_TIMEOUT_S="0.25"), UnknownOutcomeError)
        assert server.hangs.wait(30)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("body", [b"\x00<html>garbage", b"[]", b"x" * 3_000_000], ids=["garbage", "wrong shape", "huge"])
    def test_an_acceptance_that_cannot_be_understood_is_unknown(self, bench: Bench, server: HttpServer, body: bytes) -> None:
        server.respond(bench.accepted[0], body)
        if bench.needs_body:
            assert isinstance(bench.refuse(server), UnknownOutcomeError)
        else:
            assert isinstance(bench.send(server), Accepted)

    def test_a_refusal_with_a_huge_body_is_classified_by_its_status(self, bench: Bench, server: HttpServer) -> None:
        server.respond(503, b"x" * 3_000_000)
        assert isinstance(bench.refuse(server), TemporaryProviderError)

    def test_the_proxy_is_used_and_the_environment_is_not(
        self, bench: Bench, server: HttpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.respond(407)
        with closed_port() as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            error = bench.refuse(server, url=f"https://{bench.host}", HTTPS_PROXY=server.url)
        assert isinstance(error, TemporaryProviderError)
        assert [(request.method, request.path) for request in server.requests] == [("CONNECT", f"{bench.host}:443")]

    def test_every_documented_code_means_what_the_table_says(
        self, bench: Bench, row: str, status: int, code: str, server: HttpServer
    ) -> None:
        server.respond(*bench.refused(status, code))
        error = bench.refuse(server)
        expected = bench.codes[row]
        assert type(error) is ERRORS[expected.verdict]
        assert error.reason == expected.meaning
        assert error.code == (code or str(status)) or (not code and error.code == "Unlisted")
