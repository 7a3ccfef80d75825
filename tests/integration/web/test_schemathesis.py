"""Every request that the published document allows gets a documented response, and never 5xx."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.model import Incident, Recipient
from notifyflow.core.namespaces import ALL
from notifyflow.core.oncall.overrides import Wish
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.settings import Settings
from tests.builders import ALL_SCOPES
from tests.deep import examples
from tests.integration.web.delivery.test_api import SilentBell
from tests.integration.web.frame.test_api_keys import OPEN_TO_ALL, SCOPES
from tests.silencing import a_silence

DIRECTORY = """
recipients.ada = {}
default.to = ["ada"]
schedules.primary = { ical = "https://calendar.example.com/oncall.ics" }
"""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotifyFlow]:
    folder = tmp_path_factory.mktemp("schemathesis")
    (folder / "directory.toml").write_text(DIRECTORY)
    variables = {
        "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder / 'notifyflow.db'}",
        "NOTIFYFLOW_DIRECTORY": str(folder / "directory.toml"),
        "NOTIFYFLOW_API_REQUESTS_A_MINUTE": "1000000",
    }
    with NotifyFlow(Settings.from_variables(variables), bell=SilentBell()) as opened:
        yield opened


@pytest.fixture(scope="module")
def keys(flow: NotifyFlow) -> dict[bool, str]:
    """Two keys with all scopes that it may have: one namespace's, and all namespaces'."""
    scopes = {False: ALL_SCOPES, True: {KeyScope.READ, KeyScope.OPERATE}}
    names = {False: "anybody", True: ALL}
    return {each: flow.access().create("a", scopes[each], valid_for=None, namespace=names[each])[1] for each in scopes}


@pytest.fixture(scope="module")
def published(flow: NotifyFlow) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/v1/openapi.json", flow.asgi())


@pytest.fixture
def known(flow: NotifyFlow) -> dict[str, str]:
    sweep(flow._deps)
    done = flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada", email="ada@example.com")])
    ends_at = flow.oncall.now() + timedelta(hours=1)
    (made,) = flow.oncall.change(Wish(people=("ada",), ends_at=ends_at, by="ada"))
    return {
        "incident_id": done.incident_id,
        "recipient_id": "ada",
        "schedule": "primary",
        "override_id": made.id,
        "silence_id": a_silence(flow),
    }


@pytest.mark.parametrize(("method", "path"), [*SCOPES, *sorted(OPEN_TO_ALL)])
def test_every_response_matches_the_published_document(
    published: schemathesis.BaseSchema, known: dict[str, str], keys: dict[bool, str], method: str, path: str
):
    headers = {"authorization": f"Bearer {keys['/oncall' in path]}"}

    @settings(max_examples=examples(20), suppress_health_check=list(HealthCheck))
    @given(published[path][method].as_strategy())
    def check(case: schemathesis.Case) -> None:
        case.validate_response(case.call(headers=headers), checks=CHECKS)
        if case.path_parameters:  # a made-up id is unknown; repeat with a known one
            case.path_parameters = known
            case.validate_response(case.call(headers=headers), checks=CHECKS)

    check()
