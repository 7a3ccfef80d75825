"""What a repeated key changes in the content, in the contacts, and in who is paged."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import DETAILS, Contact, Incident, IncidentState, Severity
from notifyflow.core.delivery.repeated_key import Given, amend, amend_contact, as_given, follow_contact, is_amended, newly_paged
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


NOTHING = Given(recipient_id="ada")
WISHES = {"ERROR": ("email",)}


def test_new_addresses_join_the_stored_ones_and_a_missing_name_replaces_none() -> None:
    merged = amend_contact(ADA, replace(ADA, name="ada", addresses={"sms": "+15005550006"}), NOTHING)
    assert merged == replace(ADA, addresses={"email": "ada@example.com", "sms": "+15005550006"})
    assert amend_contact(ADA, replace(ADA, name="Ada L."), NOTHING).name == "Ada L."


@pytest.mark.parametrize(
    ("field", "full", "empty"), [("timezone", "Asia/Tokyo", "UTC"), ("quiet", "22:00-07:00", None), ("channels", WISHES, None)]
)
def test_a_repetition_keeps_of_a_contact_what_it_does_not_give(field: str, full: object, empty: object) -> None:
    stored, without = replace(ADA, **{field: full}), replace(ADA, **{field: empty})
    given = replace(NOTHING, fields=(field,))
    assert amend_contact(stored, without, NOTHING) == stored
    assert amend_contact(stored, without, given) == without
    assert amend_contact(without, stored, given) == stored


def test_an_address_that_is_emptied_is_removed_and_others_stay() -> None:
    stored = replace(ADA, addresses={"email": "ada@example.com", "sms": "+1", "voice": "+1"})
    assert amend_contact(stored, ADA, replace(NOTHING, emptied=("sms", "voice", "push"))) == ADA


def test_a_whole_contact_replaces_everything_but_the_last_address() -> None:
    stored = replace(ADA, name="Ada", addresses={"email": "a@example.com", "sms": "+1"}, quiet="22:00-07:00", channels=WISHES)
    whole = Contact(recipient_id="ada", name="ada", addresses={"sms": "+2"})
    assert follow_contact(stored, whole) == whole
    assert follow_contact(stored, replace(whole, addresses={})) == replace(whole, addresses=stored.addresses)


def test_a_contact_that_was_given_with_a_step_gives_what_is_not_usual() -> None:
    assert as_given(Contact(recipient_id="ada", name="Ada", addresses={"sms": "+1"})) == NOTHING
    full = Contact(recipient_id="ada", name="Ada", addresses={}, timezone="Asia/Tokyo", quiet="22:00-07:00", channels=WISHES)
    assert as_given(full) == replace(NOTHING, fields=("timezone", "quiet", "channels"))


@pytest.mark.parametrize(("state", "added"), [(IncidentState.OPEN, ("ben",)), (IncidentState.ACKNOWLEDGED, ())])
def test_a_new_recipient_is_paged_unless_it_is_acknowledged(state: IncidentState, added: tuple[str, ...]) -> None:
    assert newly_paged(incident(state=state), (ADA, BEN), {"ada"}) == added
