"""Very many look at the largest incident, over and over: alerts and links do not notice."""

import http.client
import json
from contextlib import closing
from threading import Event, Thread

import pytest

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.namespaces import ALL
from tests.dashboard import visit
from tests.security.conftest import Target

PEOPLE, VIEWERS, ALERTS = 3_000, 60, 8


def submit(target: Target, key: str, people: int) -> int:
    recipients = [{"id": f"p{number}", "email": f"p{number}@example.com"} for number in range(people)]
    body = json.dumps({"key": key, "title": "down", "severity": "CRITICAL", "recipients": recipients}).encode()
    return target.request("POST", "/v1/incidents", body, authorization=f"Bearer {target.key}", content_type="application/json")[0]


@pytest.mark.parametrize("path", ["/incidents/{}?everybody=1", "/v1/incidents/{}"])
def test_sixty_viewers_of_an_incident_of_thousands_hold_up_no_alert(target: Target, path: str):
    assert submit(target, "crowd", PEOPLE) == 201
    cookies = visit(target.flow, Role.VIEWER).cookies
    path = path.format(target.status("crowd").facts.id)
    _, key = target.flow.access().create("reports", {KeyScope.READ}, valid_for=None, namespace=ALL)
    headers = {
        "Host": "notify.example",
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Authorization": f"Bearer {key}",
    }
    is_over, seen = Event(), set()

    def look() -> None:
        while not is_over.is_set():
            with closing(http.client.HTTPConnection("127.0.0.1", target.port, timeout=120)) as connection:
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                seen.add(response.status)
                if response.status == 503:
                    assert response.headers["Retry-After"]
                    is_over.wait(1)
                response.read()

    viewers = [Thread(target=look) for _ in range(VIEWERS)]
    for viewer in viewers:
        viewer.start()
    try:
        codes = [submit(target, f"k{number}", 1) for number in range(ALERTS)]
        links = [target.request("GET", "/a/x")[0] for _ in range(ALERTS)]
        others = [target.request("GET", "/login")[0] for _ in range(ALERTS)]
    finally:
        is_over.set()
        for viewer in viewers:
            viewer.join()
    assert codes == [201] * ALERTS
    assert links == [404] * ALERTS
    assert others == [200] * ALERTS
    assert 200 in seen
    assert seen <= {200, 503}
