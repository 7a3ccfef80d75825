"""The Host header of a request does not affect which path is served."""

import ast
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from notifyflow.core.delivery.model import Incident, IncidentState, Recipient, Severity
from tests.columns import sources
from tests.security.conftest import PUBLIC_URL, TWILIO_TOKEN, Target
from tests.waiting import wait_until


def _text(target: Target, key: str, phone: str) -> str:
    """Page a recipient; return the id of the running attempt."""
    target.flow.notify(Incident(key=key, title="down", severity=Severity.CRITICAL), [Recipient(id=key, phone=phone)])
    wait_until(lambda: any(row.attempts for row in target.status(key).escalations[0].notifications))
    return next(row.attempts[0].id for row in target.status(key).escalations[0].notifications if row.attempts)


@pytest.mark.parametrize(
    "host", ["x/callbacks/twilio/voice/{a}/key#", "x/callbacks/twilio/voice/{a}/key?", "x/callbacks/twilio/voice/{a}/key?y="]
)
def test_the_key_pressed_in_one_call_does_not_acknowledge_another(target: Target, host: str):
    mine, victims = _text(target, "mine", "+15005550010"), _text(target, "victims", "+15005550011")
    form = {"CallSid": "CA1", "Digits": "1"}
    signature = RequestValidator(TWILIO_TOKEN).compute_signature(f"{PUBLIC_URL}/callbacks/twilio/voice/{mine}/key", form)
    status, _ = target.request(
        "POST",
        f"/callbacks/twilio/voice/{victims}/key",
        urlencode(form).encode(),
        host=host.format(a=mine),
        x_twilio_signature=signature,
        content_type="application/x-www-form-urlencoded",
    )
    assert status in (400, 403)
    assert target.status("victims").facts.state is IncidentState.OPEN


def test_no_route_reads_the_url_that_is_made_of_the_host():
    read = [
        (path, node)
        for path in sources("web")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "request"
    ]
    assert len(read) > 40
    for path, node in read:
        assert node.attr not in ("url", "base_url", "url_for"), f"{path}:{node.lineno}"
