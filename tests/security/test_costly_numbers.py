"""An ingest key pages premium-rate numbers, which earn money for their owner."""

import json

import pytest

from tests.security.conftest import Target, targeted

EARNING = ("+19005551234", "+491801123456", "+881612345678", "+979123456789", "+88213312345", "+448712345678")


def page(target: Target, key: str, *recipients: dict[str, object]) -> tuple[int, dict[str, object]]:
    body = json.dumps({"key": key, "title": "call me", "severity": "CRITICAL", "recipients": recipients}).encode()
    status, response = target.request(
        "POST", "/v1/incidents", body, authorization=f"Bearer {target.key}", content_type="application/json"
    )
    return status, json.loads(response)


@pytest.mark.parametrize("number", EARNING)
def test_a_number_that_earns_is_refused_and_nothing_is_sent_to_it(target: Target, number: str):
    status, response = page(target, "alone", {"id": "eve", "phone": number})
    assert (status, "COSTLY_NUMBERS" in str(response)) == (422, True)
    assert target.flow.find("alone") is None
    for field in ("sms", "voice"):
        status, _ = page(target, field, {"id": "eve", "addresses": {field: number}})
        assert status == 422
    status, response = page(target, "both", {"id": "eve", "phone": number}, {"id": "ada", "email": "ada@example.com"})
    assert status in (200, 201)
    assert "COSTLY_NUMBERS" in str(response)
    target.sandbox.inbox.wait_for(lambda message: message.to == "ada@example.com")
    assert [message.to for message in target.sandbox.inbox.messages() if message.channel in ("sms", "voice")] == []


def test_another_number_of_a_known_recipient_is_no_way_around(target: Target):
    status, _ = page(target, "known", {"id": "ada", "email": "ada@example.com"})
    assert status in (200, 201)
    _, response = page(target, "known", {"id": "ada", "phone": EARNING[0]})
    assert "COSTLY_NUMBERS" in str(response)
    assert all(set(each.contact.addresses) <= {"email"} for each in target.status("known").escalations)


def test_an_operator_may_allow_one_satellite_phone(tmp_path):
    with targeted(tmp_path, "sms: no receipt; voice: rings", COSTLY_NUMBERS="+8816") as target:
        status, _ = page(target, "ship", {"id": "ada", "phone": "+881612345678"})
        assert status in (200, 201)
        assert page(target, "eve", {"id": "eve", "phone": "+979123456789"})[0] == 422
