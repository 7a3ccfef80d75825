"""What all routes have in common: no cookie, nothing done by GET, no word of a request in our own URLs, an end to every body."""

import asyncio
import threading

import httpx
import pytest
from fastapi import HTTPException, Request

from notifyflow.web.frame.body import Body, BodyBudget
from tests.asgi import Client
from tests.unit.web.conftest import API_KEY, Backend, client_of, link

SAFE = {"GET", "HEAD"}
FORGED = {
    "host": "evil.example",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "gopher",
    "forwarded": "host=evil.example",
    "x-original-url": "/evil",
}
CHANGING = [
    ("POST", link()),
    ("POST", "/callbacks/pigeon/post/a1"),
    ("POST", "/v1/incidents"),
    ("POST", "/v1/alertmanager"),
    ("POST", "/v2/enqueue"),
    ("POST", "/v1/cloudevents"),
]


@pytest.mark.parametrize(("method", "path"), [("GET", link()), ("GET", "/livez"), ("GET", "/a/x"), *CHANGING])
def test_no_response_sets_a_cookie_so_that_no_other_site_can_act_in_somebodys_name(client: Client, method: str, path: str):
    response = client.request(method, path, headers={"cookie": "session=x", "authorization": f"Bearer {API_KEY}"})
    assert "set-cookie" not in response.headers
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_what_changes_anything_is_not_done_by_looking(client: Client, backend: Backend, method: str, path: str):
    for safe in SAFE:
        client.request(safe, path, headers={"authorization": f"Bearer {API_KEY}", "x-signature": "coo"})
    assert (backend.acknowledged, backend.received, backend.requests) == ([], [], [])


@pytest.mark.parametrize("path", ["/v1/incidents", "/v1/alertmanager", "/v1/cloudevents", "/v2/enqueue"])
@pytest.mark.parametrize("name", ["access_token", "api_key", "key", "token", "routing_key"])
def test_a_key_in_a_url_lets_nobody_in(client: Client, backend: Backend, path: str, name: str):
    response = client.post(f"{path}?{name}={API_KEY}", json={}, headers={"cookie": f"{name}={API_KEY}", "x-api-key": API_KEY})
    assert response.status_code == 401
    assert API_KEY not in response.text + repr(response.headers)
    assert backend.requests == []


def test_our_own_url_is_not_taken_from_the_request(client: Client, backend: Backend):
    requests = [("GET", link()), ("POST", link()), ("GET", "/a/x"), ("GET", "/nothing"), ("GET", "/v1/openapi.json")]
    for method, path in [*requests, ("GET", link() + "/"), ("POST", "/v1/incidents/"), ("GET", "/livez/")]:
        response = client.request(method, path, headers=FORGED)
        assert "evil" not in response.text + repr(response.headers)
    client.post("/callbacks/pigeon/post/a1", content=b"x", headers=FORGED | {"x-signature": "coo"})
    assert "evil" not in repr(backend.received)


@pytest.mark.parametrize("path", [path for _, path in CHANGING if not path.startswith("/a/")])
def test_every_body_has_an_end(client: Client, backend: Backend, path: str):
    endless = b"[" * (16 * 1024 * 1024 + 1)
    headers = {"authorization": f"Bearer {API_KEY}", "content-type": "application/json", "x-signature": "coo"}
    assert client.post(path, content=endless, headers=headers).status_code == 413
    assert (backend.received, backend.requests) == ([], [])


def test_a_body_that_does_not_come_is_not_waited_for():
    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)

    async def read() -> None:
        async with Body(100, timeout_s=0.001).read(request):
            raise AssertionError

    with pytest.raises(HTTPException) as refused:
        asyncio.run(read())
    assert refused.value.status_code == 408


def test_bodies_share_their_room_and_give_it_back():
    room = BodyBudget(100)

    def request_of(*parts: bytes) -> Request:
        messages = [{"type": "http.request", "body": part, "more_body": part is not parts[-1]} for part in parts]

        async def receive() -> dict[str, object]:
            return messages.pop(0)

        return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)

    async def read() -> None:
        body = Body(100, room=room)
        async with body.read(request_of(b"x" * 40, b"y" * 20)) as content:
            assert content == b"x" * 40 + b"y" * 20
            with pytest.raises(HTTPException) as refused:
                async with body.read(request_of(b"x" * 40, b"y")):
                    raise AssertionError
            assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "1"})
        async with body.read(request_of(b"x" * 100)):
            pass

    asyncio.run(read())


def test_a_flood_of_events_leaves_threads_for_everybody_else(backend: Backend):
    """More requests than there are worker threads hang in the database, and a link still opens."""
    hangs = threading.Event()
    backend.hang = hangs.wait
    application = client_of(backend).application

    async def flood() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="https://notify.example") as client:
            headers = {"authorization": f"Bearer {API_KEY}"}
            alert = {"alerts": [{"fingerprint": "f"}]}
            flooding = [asyncio.create_task(client.post("/v1/alertmanager", json=alert, headers=headers)) for _ in range(100)]
            try:
                response = await asyncio.wait_for(client.get(link()), 30)
            finally:
                hangs.set()
            assert {each.status_code for each in await asyncio.gather(*flooding)} == {202}
            return response.status_code

    assert asyncio.run(flood()) == 200


def test_a_page_says_that_not_all_is_live(backend: Backend):
    client = client_of(backend)
    for path in (link(), "/a/x", "/nothing"):
        assert "redirected" not in client.get(path).text
        assert '<p class="notice">redirected</p>' in client_of(backend, notice="redirected").get(path).text
        assert "<b>" not in client_of(backend, notice="<b>").get(path).text
    backend.trouble = ZeroDivisionError()
    assert '<p class="notice">redirected</p>' in client_of(backend, notice="redirected").get(link()).text


@pytest.mark.parametrize("path", ["/livez", "/v1/openapi.json", "/v1/nothing", "/a/x"])
def test_a_response_to_a_program_says_so_too(client: Client, backend: Backend, path: str):
    assert "notifyflow-notice" not in client.get(path).headers
    response = client_of(backend, notice="sändbox,\r\n dry run").get(path)
    assert response.headers["notifyflow-notice"] == "s\\xe4ndbox, dry run"
