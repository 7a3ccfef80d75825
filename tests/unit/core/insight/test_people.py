"""Whether a person can be reached, for what recent rounds say."""

import pytest

from notifyflow.core.delivery.model import Contact, EscalationState, NotificationState
from notifyflow.core.insight.people import Person, PersonRecord, Reachability, WayRecord, reachability
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
        (Person(contact=ADA), {"email", "sms"}, Reachability.UNPROVEN),
        (Person(contact=ADA), set(), Reachability.UNREACHABLE),
        (person(email=SENT), {"email", "sms"}, Reachability.UNPROVEN),
        (person(email=SENT, sms=PROVEN), {"email", "sms"}, Reachability.PROVEN),
        (person(email=SENT, sms=PROVEN), {"email"}, Reachability.UNPROVEN),
        (person(email=FAILED), {"email", "sms"}, Reachability.UNPROVEN),
        (person(email=FAILED), {"email"}, Reachability.UNREACHABLE),
        (person(email=FAILED, sms=PROVEN_ONCE), {"email", "sms"}, Reachability.UNREACHABLE),
        (person(email=SENT, sms=PROVEN_ONCE), {"email", "sms"}, Reachability.PROVEN),
        (person(EscalationState.EXHAUSTED, email=SENT, sms=PROVEN), {"email", "sms"}, Reachability.UNREACHABLE),
        (person(EscalationState.CANCELLED, sms=PROVEN), {"email", "sms"}, Reachability.PROVEN),
    ],
)
def test_a_person_is_proven_unproven_or_unreachable(who: Person, usable: set[str], expected: Reachability) -> None:
    assert reachability(who, usable) is expected


def test_a_channel_without_a_page_is_untried() -> None:
    assert Person(contact=ADA).way("email") == WayRecord()
    assert person(email=SENT).way("sms") == WayRecord()
