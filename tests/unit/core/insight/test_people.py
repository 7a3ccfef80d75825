"""Whether a person can be reached, for what recent rounds say."""

import pytest

from notifyflow.core.delivery.model import Contact, EscalationState, NotificationState
from notifyflow.core.insight.people import Person, PersonRecord, Standing, WayRecord, standing
from tests.facts import NOW, page

ADA = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@example.com", "sms": "+15005550006"})
FAILED = WayRecord(last=page("email", NotificationState.FAILED), refused=1)
SENT = WayRecord(last=page("email", NotificationState.SENT))
PROVEN = WayRecord(last=page("sms", NotificationState.DELIVERED), proven=page("sms", NotificationState.DELIVERED))
PROVEN_ONCE = WayRecord(last=page("sms", NotificationState.FAILED), proven=page("sms", NotificationState.DELIVERED))


def person(state: EscalationState = EscalationState.REACHED, **ways: WayRecord) -> Person:
    return Person(contact=ADA, record=PersonRecord(contact=ADA, last_round=state, last_round_at=NOW, ways=ways))


@pytest.mark.parametrize(
    ("who", "usable", "expected"),
    [
        (Person(contact=ADA), {"email", "sms"}, Standing.UNPROVEN),
        (Person(contact=ADA), set(), Standing.UNREACHABLE),
        (person(email=SENT), {"email", "sms"}, Standing.UNPROVEN),
        (person(email=SENT, sms=PROVEN), {"email", "sms"}, Standing.PROVEN),
        (person(email=SENT, sms=PROVEN), {"email"}, Standing.UNPROVEN),
        (person(email=FAILED), {"email", "sms"}, Standing.UNPROVEN),
        (person(email=FAILED), {"email"}, Standing.UNREACHABLE),
        (person(email=FAILED, sms=PROVEN_ONCE), {"email", "sms"}, Standing.UNREACHABLE),
        (person(email=SENT, sms=PROVEN_ONCE), {"email", "sms"}, Standing.PROVEN),
        (person(EscalationState.EXHAUSTED, email=SENT, sms=PROVEN), {"email", "sms"}, Standing.UNREACHABLE),
        (person(EscalationState.CANCELLED, sms=PROVEN), {"email", "sms"}, Standing.PROVEN),
    ],
)
def test_a_person_is_proven_unproven_or_unreachable(who: Person, usable: set[str], expected: Standing) -> None:
    assert standing(who, usable) is expected


def test_a_channel_without_a_page_is_untried() -> None:
    assert Person(contact=ADA).way("email") == WayRecord()
    assert person(email=SENT).way("sms") == WayRecord()
