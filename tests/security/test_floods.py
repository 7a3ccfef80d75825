"""Bodies that cost far more than their length, one by one and many at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from notifyflow.core.delivery.model import NotificationState
from tests.security.conftest import Target
from tests.waiting import wait_until

LONGEST_RESPONSE = 64 * 1024
INCIDENT = {"key": "k", "title": "down"}


def submit(target: Target, body: object) -> tuple[int, bytes]:
    document = json.dumps(body).encode()
    return target.request(
        "POST", "/v1/incidents", document, authorization=f"Bearer {target.key}", content_type="application/json"
    )


def page(target: Target, key: str) -> None:
    status, _ = submit(target, {**INCIDENT, "key": key, "recipients": [{"id": "ada", "email": "ada@example.com"}]})
    assert status == 201
    wait_until(lambda: target.status(key).escalations[0].notifications[0].state is NotificationState.SENT)


def test_a_flood_of_faults_is_counted_and_stops_nobody(target: Target):
    """Each of these took 23 s of processor time when every fault was compared with every other one."""
    flood = {**INCIDENT, "recipients": [{"id": number, "e": number} for number in range(4_000)]}
    with ThreadPoolExecutor(45) as attackers:
        responses = [attackers.submit(submit, target, flood) for _ in range(45)]
        assert target.request("GET", "/readyz?exclude=sweeping")[0] == 200
        page(target, "in-between")
        for response in responses:
            status, document = response.result()
            assert (status, len(json.loads(document)["faults"])) == (422, 21)
            assert len(document) < LONGEST_RESPONSE


@pytest.mark.parametrize("path", ["/v1/alertmanager", "/v1/cloudevents"])
@pytest.mark.parametrize("item", ["0", "{}", "[]", '"x"', '{"id":"1"}'])
def test_the_response_to_a_list_of_invalid_items_is_short(target: Target, path: str, item: str):
    body = "[" + ",".join([item] * (1_000_000 // (len(item) + 1))) + "]"
    document = f'{{"alerts":{body}}}' if path == "/v1/alertmanager" else body
    status, response = target.request(
        "POST", path, document.encode(), authorization=f"Bearer {target.key}", content_type="application/json"
    )
    assert status in (202, 400)
    assert len(response) < LONGEST_RESPONSE


def test_more_recipients_than_a_request_may_name_are_refused_before_they_are_read(target: Target):
    status, response = submit(target, {**INCIDENT, "recipients": [{"id": 0}] * 5_001})
    assert status == 422
    assert [fault["what"] for fault in json.loads(response)["faults"]] == ["there are 5,001, 5,000 are allowed in one request"]


def test_bodies_without_a_key_leave_room_for_those_with_one(target: Target):
    """PagerDuty's senders put their key in the body, so that anybody can have a body read."""
    request = b"POST /v2/enqueue HTTP/1.1\r\nHost: notify.example\r\nContent-Length: 524288\r\n\r\n" + b" " * 500_000
    with ExitStack() as stack:
        connections = [stack.enter_context(target.connect()) for _ in range(45)]
        for connection in connections:
            with suppress(ConnectionError):
                connection.sendall(request)
        alert = json.dumps({"alerts": [{"fingerprint": "f"}]}).encode()
        assert target.request("POST", "/v1/alertmanager", alert, authorization=f"Bearer {target.key}")[0] == 202
        page(target, "meanwhile")
        responses = {connection.recv(12) for connection in connections}
    assert responses == {b"HTTP/1.1 408", b"HTTP/1.1 503"}, "those that are too many may come again, the others wait for the rest"
