import pytest
from fastapi import FastAPI

from notifyflow.errors import StorageUnavailable
from notifyflow.web.delivery.callbacks import BODY_LIMIT_BYTES
from tests.asgi import Client
from tests.unit.web.conftest import Backend

SIGNED = {"x-signature": "coo"}


def test_a_signed_callback_is_committed_with_its_raw_body_and_gets_the_response_that_the_provider_wants(
    client: Client, backend: Backend
):
    response = client.post("/callbacks/pigeon/post/a1?x=%20y", content=b"landed", headers=SIGNED)
    assert (response.status_code, response.text) == (200, "<coo/>")
    assert response.headers["content-type"] == "application/xml"
    ((receipt, raw),) = backend.received
    assert (receipt.attempt_id, receipt.event_id, raw) == ("a1", "landed", "landed")
    assert receipt.reason == "/callbacks/pigeon/post/a1?x=%20y"


def test_a_gathered_key_comes_in_under_a_path_of_its_own(client: Client, backend: Backend):
    assert client.post("/callbacks/pigeon/post/a1/key", content=b"1", headers=SIGNED).status_code == 200
    assert backend.received[0][0].reason == "/callbacks/pigeon/post/a1/key"


def test_within_another_application_the_path_is_the_one_below_the_public_url(application: FastAPI, backend: Backend):
    whole = FastAPI()
    whole.mount("/notify", application)
    assert Client(whole).post("/notify/callbacks/pigeon/post/a1?x=y", content=b"1", headers=SIGNED).status_code == 200
    assert backend.received[0][0].reason == "/callbacks/pigeon/post/a1?x=y"


@pytest.mark.parametrize("headers", [{}, {"x-signature": ""}, {"x-signature": "moo"}])
def test_without_the_right_signature_nothing_is_kept(client: Client, backend: Backend, headers: dict[str, str]):
    assert client.post("/callbacks/pigeon/post/a1", content=b"landed", headers=headers).status_code == 403
    assert backend.received == []


@pytest.mark.parametrize("path", ["/callbacks/owl/post/a1", "/callbacks/pigeon/sea/a1"])
def test_a_provider_that_is_not_configured_here_has_no_way_in(client: Client, path: str):
    assert client.post(path, headers=SIGNED).status_code == 404


def test_what_cannot_be_committed_gets_no_2xx(client: Client, backend: Backend):
    backend.trouble = StorageUnavailable(5)
    response = client.post("/callbacks/pigeon/post/a1", content=b"landed", headers=SIGNED)
    assert response.status_code == 503
    assert backend.received == []


def test_a_reply_is_committed_and_gets_a_response_and_comes_again_where_it_could_not_be(client: Client, backend: Backend):
    def say() -> tuple[int, str]:
        response = client.post("/callbacks/pigeon/post", content=b"ack", headers=SIGNED)
        return response.status_code, response.text

    backend.trouble = StorageUnavailable(5)
    assert say()[0] == 503
    assert backend.replies == []
    backend.trouble = None
    assert say() == (200, "<acknowledged/>")
    assert [(reply.event_id, raw) for reply, raw in backend.replies] == [("ack", "ack")]


def test_a_body_larger_than_any_provider_sends_is_refused(client: Client, backend: Backend):
    fits = client.post("/callbacks/pigeon/post/a1", content=b"x" * BODY_LIMIT_BYTES, headers=SIGNED)
    larger = client.post("/callbacks/pigeon/post/a1", content=b"x" * (BODY_LIMIT_BYTES + 1), headers=SIGNED)
    assert (fits.status_code, larger.status_code) == (200, 413)
    assert len(backend.received) == 1


def test_a_callback_is_posted_and_nothing_else(client: Client):
    assert client.get("/callbacks/pigeon/post/a1").status_code == 405
