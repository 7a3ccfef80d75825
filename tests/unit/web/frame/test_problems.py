"""Programs get problem documents, people get pages."""

import pytest
from fastapi import FastAPI

from notifyflow.errors import Fault, StorageUnavailable
from notifyflow.web.frame.problems import MEDIA_TYPE
from tests.asgi import Client
from tests.log_lines import capture_logs
from tests.unit.web.conftest import Backend


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("PUT", "/v1/incidents", 405)])
def test_what_there_is_not_is_a_problem(client: Client, method: str, path: str, status: int):
    response = client.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, MEDIA_TYPE)
    assert response.json()["type"] == "about:blank"
    assert response.json()["status"] == status
    assert response.headers["cache-control"] == "no-store"


def test_a_response_to_a_wrong_method_names_the_right_ones(client: Client):
    assert client.request("PUT", "/v1/incidents").headers["allow"] == "GET, POST"


def test_a_page_that_there_is_not_stays_a_page(client: Client):
    assert client.get("/nothing").headers["content-type"].startswith("text/html")


def test_below_a_prefix_programs_are_known_as_well(client: Client):
    outer = FastAPI()
    outer.mount("/pager", client.application)
    mounted = Client(outer)
    assert mounted.get("/pager/v1/nothing").headers["content-type"] == MEDIA_TYPE
    assert mounted.get("/pager/v1/openapi.json").json()["servers"] == [{"url": "/pager"}]
    assert mounted.get("/pager/nothing").headers["content-type"].startswith("text/html")


def test_a_bug_is_a_problem_that_tells_nothing(client: Client, backend: Backend):
    backend.refusal = ZeroDivisionError("a secret")
    response = client.request("GET", "/v1/incidents", headers={"authorization": "Bearer x"})
    assert (response.status_code, response.headers["content-type"]) == (500, MEDIA_TYPE)
    assert "secret" not in response.text


def test_who_is_not_let_in_is_logged_without_what_they_presented(client: Client):
    with capture_logs() as lines:
        client.request("GET", "/v1/incidents", headers={"authorization": "Bearer a-secret"})
    assert lines == [{"event": "web.access_denied", "error": "InvalidApiKey", "log_level": "warning"}]


def test_an_unavailable_database_is_tried_again(client: Client, backend: Backend):
    backend.refusal = StorageUnavailable(5)
    response = client.request("GET", "/v1/incidents", headers={"authorization": "Bearer x"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json()["type"] == "urn:notifyflow:problem:storage-unavailable"


def test_readiness_is_the_absence_of_faults_that_count(client: Client, backend: Backend):
    assert client.get("/readyz").json() == {"is_ready": True, "is_degraded": False, "faults": []}
    backend.faults = (Fault("sweeping", "nobody does", "Start a worker"),)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "is_ready": False,
        "is_degraded": False,
        "faults": [{"where": "sweeping", "what": "nobody does", "remedy": "Start a worker"}],
    }
    assert client.get("/readyz?exclude=sweeping").status_code == 200
    assert client.get("/readyz?exclude=schema&exclude=database").status_code == 503
    backend.faults = (Fault("quarantine", "3 incidents are quarantined", "Release them"),)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["is_ready"], response.json()["is_degraded"]) == (200, True, True)
    assert client.get("/readyz?exclude=quarantine").json()["is_degraded"] is False
    assert client.get("/readyz?exclude=everything").json()["faults"][0]["where"] == "exclude[0]"


def test_the_process_lives_whatever_is_away(client: Client, backend: Backend):
    backend.trouble = StorageUnavailable(5)
    assert (client.get("/livez").status_code, client.get("/livez").text) == (200, "ok\n")
