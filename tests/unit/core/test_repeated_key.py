"""What a repeated key changes in the content, in the contacts, and in who is paged."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.model import DETAILS, Contact, Incident, IncidentState, Severity
from notifyflow.core.repeated_key import amend, amend_contact, is_amended, newly_paged
from tests.facts import NOW, incident

LATER = NOW + timedelta(hours=1)
ADA = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@example.com"}, timezone="Europe/Berlin")
BEN = Contact(recipient_id="ben", name="ben", addresses={})


def content(severity: Severity = Severity.ERROR, **given: object) -> Incident:
    return Incident(**({"key": "db-1", "title": "down", "severity": severity} | given))


def test_the_newest_text_counts_with_the_highest_severity_and_the_first_time() -> None:
    stored = content(Severity.ERROR, occurred_at=NOW)
    assert amend(stored, content(Severity.INFO, title="still down", occurred_at=LATER)) == content(
        Severity.ERROR, title="still down", occurred_at=NOW
    )
    assert amend(content(), content(Severity.CRITICAL, occurred_at=LATER)) == content(Severity.CRITICAL, occurred_at=LATER)


FIELDS: dict[str, tuple[object, object]] = {
    # what can be left out: something that is said of it, and what is said to empty it
    "body": ("Writes fail.", ""),
    **dict.fromkeys(DETAILS, ("grafana", "")),
    "url": ("https://runbooks.example.com/db", ""),
    "labels": ({"team": "orders"}, {}),
}
EMPTY: dict[str, object] = {"body": "", **dict.fromkeys(DETAILS, ""), "url": None, "labels": {}}


@pytest.mark.parametrize("field", FIELDS)
def test_a_repetition_replaces_the_fields_it_has_and_keeps_the_others(field: str) -> None:
    full, nothing = FIELDS[field]
    stored = content(**{field: full})
    assert getattr(amend(stored, content()), field) == full
    assert getattr(amend(stored, content(**{field: nothing})), field) == EMPTY[field]
    assert getattr(amend(content(**EMPTY), content(**{field: full})), field) == full


def test_subscribers_get_an_event_for_new_text_and_not_for_the_severity_alone() -> None:
    stored = content()
    assert not is_amended(stored, content(Severity.CRITICAL, occurred_at=LATER))
    assert is_amended(stored, content(title="still down"))


def test_new_addresses_join_the_stored_ones_and_a_missing_name_replaces_none() -> None:
    merged = amend_contact(ADA, replace(ADA, name="ada", addresses={"sms": "+15005550006"}, timezone="UTC"))
    assert merged == replace(ADA, addresses={"email": "ada@example.com", "sms": "+15005550006"}, timezone="UTC")
    assert amend_contact(ADA, replace(ADA, name="Ada L.")).name == "Ada L."


@pytest.mark.parametrize(("state", "added"), [(IncidentState.OPEN, ("ben",)), (IncidentState.ACKNOWLEDGED, ())])
def test_a_new_recipient_is_paged_unless_it_is_acknowledged(state: IncidentState, added: tuple[str, ...]) -> None:
    assert newly_paged(incident(state=state), (ADA, BEN), {"ada"}) == added
