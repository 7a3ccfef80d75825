"""An ingest key opens very many incidents: the pages of others still leave at once."""

import json
from pathlib import Path

from notifyflow.core.accounts.keys import KeyScope
from tests.security.conftest import Target, targeted
from tests.waiting import wait_until

DEADLINE_S = 120
MOST_AT_ONCE = 20
PLACES = 4


def post(target: Target, key: str, incident_key: str, addresses: list[str]) -> None:
    people = [{"id": address, "email": address} for address in addresses]
    body = json.dumps({"key": incident_key, "title": "t", "severity": "ERROR", "recipients": people}).encode()
    code, response = target.request("POST", "/v1/incidents", body, authorization=f"Bearer {key}", content_type="application/json")
    assert code == 201, response


def test_three_thousand_mails_of_one_key_delay_anothers_only_by_those_being_sent(tmp_path: Path):
    """Only pages that are already claimed are sent first: one batch in each slot."""
    settings = {"CONCURRENT_SENDS": str(PLACES), "PROVIDER_LIMITS": "smtp=1000000,ses=1000000"}
    with targeted(tmp_path, "email: slow 100 ms", **settings) as target:
        _, victim = target.flow.access().create("victim", [KeyScope.INGEST], valid_for=None)
        for number in range(6):
            post(target, target.key, f"flood-{number}", [f"f{number}-{each}@example.com" for each in range(500)])
        wait_until(lambda: len(target.sandbox.inbox.messages()) >= PLACES, within_s=DEADLINE_S)
        post(target, victim, "orders-db", ["ada@example.com"])
        sent_before = len(target.sandbox.inbox.messages())
        wait_until(lambda: bool(target.sandbox.inbox.messages(to="ada@example.com")), within_s=DEADLINE_S)
        order = [message.to for message in target.sandbox.inbox.messages()]
    assert order.index("ada@example.com") - sent_before <= PLACES * MOST_AT_ONCE
