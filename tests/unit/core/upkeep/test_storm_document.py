"""The messages of a rehearsed storm, read from the rows of its incidents."""

from dataclasses import replace

import pytest

from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import AttemptState, Contact, Evidence, Incident, Kind, NotificationState, Result, Severity
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.upkeep.storm_document import Answer, Answering, StormDocument, StormMessageDocument
from tests.facts import NOW, attempt, escalation, incident, page, seconds

ANSWERING = Answering(has_public_url=True, calling={"voice"}, replying={("sms", "p")})
PRIVATE = Answering(has_public_url=False, calling={"voice"}, replying=set())


def carried(number: int, sent_with: str | None, result: Result = Result.ACCEPTED, **fields: object) -> AttemptFacts:
    facts = {"id": f"a{number}", "sent_with": sent_with, **fields}
    return replace(attempt(1, result), **facts)  # type: ignore[arg-type]


def storm(
    *rows: NotificationFacts, answering: Answering = ANSWERING, severity: Severity = Severity.CRITICAL, who: str = "ada"
) -> StormDocument:
    """Return the storm in which each incident has one of the rows."""
    statuses = []
    for number, row in enumerate(rows):
        facts = replace(incident(), id=f"i{number}")
        round_ = replace(escalation(), id=f"e{number}", recipient_id=who, severity=severity)
        contact = Contact(recipient_id=who, name=who.title(), addresses={})
        mine = replace(row, incident_id=facts.id, escalation_id=round_.id)
        people = (EscalationStatus(facts=round_, contact=contact, notifications=(mine,)),)
        content = Incident(key=facts.key, title="a")
        statuses.append(IncidentStatus(facts=facts, content=content, escalations=people, transitions=()))
    return StormDocument.of_incidents(statuses, answering)


def bundle(channel: str, count: int, named: int, **fields: object) -> list[NotificationFacts]:
    return [
        page(channel, NotificationState.SENT, carried(number, "a0", is_named=number < named, **fields)) for number in range(count)
    ]


def answers(message: StormMessageDocument) -> dict[Answer, int]:
    return {each.by: each.incidents for each in message.answers}


def test_what_left_in_one_call_is_one_message() -> None:
    alone = page("email", NotificationState.SENT, carried(9, None))
    found = storm(alone, *bundle("email", 5, 3, started_at=NOW + seconds(30)))
    assert [(each.after_s, each.incidents, each.named) for each in found.messages] == [(0, 1, 1), (30, 5, 3)]
    (ada,) = found.recipients
    assert (ada.messages, ada.told) == ({"email": 2}, 6)
    assert (ada.first_told_after_s, ada.last_told_after_s) == (0, 30)
    assert list(found.lines()) == [
        "  the messages about all 6:",
        "  + 0 s        ✓ Ada: mail about 1 incident: the link acknowledges it",
        "  + 30 s       ✓ Ada: mail about 5 incidents, 3 of them named: the link acknowledges all 5",
        "  · Ada gets 2 mails; told of 6 of 6, of the first after 0 s, of the last after 30 s",
    ]


def test_a_refused_message_an_unsent_one_and_a_status_update_count_as_nothing() -> None:
    refused = page("email", NotificationState.FAILED, carried(0, None, Result.PERMANENT_FAILURE))
    halved = page("email", NotificationState.QUEUED, carried(1, "a1", state=AttemptState.NOT_SENT, half="a1", reason="too long"))
    update = page("slack", NotificationState.SENT, carried(2, None), kind=Kind.STATUS_UPDATE)
    found = storm(refused, halved, update)
    assert (found.messages, found.recipients[0].told) == ([], 0)
    assert list(found.lines()) == ["  · Ada gets no message; told of 0 of 3"]


def test_a_call_counts_once_it_rang_and_tells_only_what_somebody_confirmed() -> None:
    silent = page("voice", NotificationState.SENT, carried(7, None, evidence=Evidence.ACCEPTED))
    unheard = page("voice", NotificationState.QUEUED, carried(8, "a8", Result.TEMPORARY_FAILURE, evidence=Evidence.CARRIER))
    heard = page("voice", NotificationState.DELIVERED, carried(9, "a8", Result.DELIVERED, evidence=Evidence.HUMAN))
    found = storm(silent, unheard, heard)
    assert [(each.channel, each.incidents) for each in found.messages] == [("voice", 2)]
    assert (found.recipients[0].messages, found.recipients[0].told) == ({"voice": 1}, 1)


@pytest.mark.parametrize(
    ("channel", "count", "named", "severity", "expected", "words"),
    [
        ("sms", 1, 1, Severity.CRITICAL, {Answer.CODE: 1, Answer.LINK: 1}, "its code or the link acknowledges it"),
        ("sms", 3, 3, Severity.INFO, {Answer.CODE: 3, Answer.LINK: 3}, "its code or the link acknowledges all 3"),
        (
            *("sms", 9, 3, Severity.CRITICAL, {Answer.ALL: 9, Answer.CODE: 0, Answer.LINK: 9}),
            "ALL with its code or the link acknowledges all 9; its code alone acknowledges none",
        ),
        ("voice", 1, 1, Severity.CRITICAL, {Answer.KEY_1: 1}, "key 1 acknowledges it"),
        ("voice", 4, 4, Severity.CRITICAL, {Answer.KEY_1: 4, Answer.KEY_4: 4}, "key 1 or key 4 acknowledges all 4"),
        ("voice", 9, 5, Severity.CRITICAL, {Answer.KEY_1: 5}, "key 1 acknowledges up to 5"),
        (
            *("voice", 30, 5, Severity.ERROR, {Answer.KEY_1: 5, Answer.KEY_4: 30}),
            "key 1 acknowledges up to 5; key 4 acknowledges all 30",
        ),
    ],
)
def test_each_answer_says_how_many_incidents_it_acknowledges(
    channel: str, count: int, named: int, severity: Severity, expected: dict[Answer, int], words: str
) -> None:
    rows = bundle(channel, count, named, evidence=Evidence.CARRIER)
    (message,) = storm(*rows, severity=severity).messages
    assert answers(message) == expected
    assert message.words("Ada").endswith(f": {words}")


@pytest.mark.parametrize("channel", ["sms", "voice", "email"])
def test_without_a_public_url_no_message_can_be_answered(channel: str) -> None:
    (message,) = storm(*bundle(channel, 2, 2, evidence=Evidence.CARRIER), answering=PRIVATE).messages
    assert (message.answers, message.words("Ada").count(":")) == ([], 1)


def test_each_recipient_has_messages_of_their_own() -> None:
    first, second = page("email", NotificationState.SENT, carried(0, None)), page("sms", NotificationState.SENT, carried(1, None))
    ada, ben = storm(first), storm(second, who="ben")
    assert ([each.recipient for each in ada.recipients], [each.recipient for each in ben.messages]) == (["ada"], ["ben"])
