"""Whether a rehearsed incident reached its people, read from its rows, and how the drill says it."""

from dataclasses import replace

import pytest

from notifyflow.core.delivery.facts import NotificationFacts, StepFacts, Transition
from notifyflow.core.delivery.model import Contact, Evidence, Incident, Kind, NotificationState, Result, StepState
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.upkeep.drill import rehearsed
from notifyflow.core.upkeep.drill_document import DrillDocument, DrilledDocument
from notifyflow.core.upkeep.storm_document import Answering, StormDocument
from tests.facts import NOW, attempt, escalation, incident, page, seconds

CALLING = frozenset({"voice"})
SENT, DELIVERED, FAILED = NotificationState.SENT, NotificationState.DELIVERED, NotificationState.FAILED


def status(*people: EscalationStatus, moves: tuple[Transition, ...] = (), is_operations: bool = False) -> IncidentStatus:
    facts = replace(incident(), is_operations=is_operations)
    content = Incident(key=facts.key, title="orders db is down")
    return IncidentStatus(facts=facts, content=content, escalations=people, transitions=moves)


def person(who: str, *rows: NotificationFacts, alerted_after_s: float | None = None) -> EscalationStatus:
    facts = replace(escalation(), id=f"e-{who}", recipient_id=who)
    if alerted_after_s is not None:
        facts = replace(facts, alerted_at=NOW + seconds(alerted_after_s))
    contact = Contact(recipient_id=who, name=who.title(), addresses={})
    pages = tuple(replace(each, escalation_id=facts.id) for each in rows)
    return EscalationStatus(facts=facts, contact=contact, notifications=pages)


def row(channel: str, state: NotificationState, result: Result = Result.ACCEPTED, **more: object) -> NotificationFacts:
    ended = replace(attempt(1, result), **more)  # type: ignore[arg-type]
    return replace(page(channel), id=f"n-{channel}", state=state, attempts=(ended,))


def move(channel: str, target: str, after_s: float) -> Transition:
    return Transition(
        machine="notification",
        row_id=f"n-{channel}",
        version=1,
        event="accepted" if target == "SENT" else "delivery_reported",
        source="",
        target=target,
        at=NOW + seconds(after_s),
        detail={"attempt": "a1"},
    )


def document(found: IncidentStatus, operations: IncidentStatus | None = None, *, is_settled: bool = True) -> DrilledDocument:
    return DrilledDocument.of_incidents(
        "team=orders", [found], operations, calling=CALLING, explain=lambda channel, code: "", is_settled=is_settled
    )


def test_the_first_page_that_arrived_counts() -> None:
    text = row("sms", DELIVERED, Result.DELIVERED, receipt_due_at=NOW)
    found = status(
        person("ada", row("email", SENT), text),
        moves=(move("email", "SENT", 9), move("sms", "SENT", 1), move("sms", "DELIVERED", 4)),
    )
    (ada,) = rehearsed(found, None, CALLING)
    assert ada.arrival is not None
    assert (ada.arrival.channel, ada.arrival.provider, ada.arrival.at) == ("sms", "p", NOW + seconds(4))
    assert ada.is_passed


def test_a_page_that_awaits_its_receipt_or_failed_does_not_count_and_a_status_update_neither() -> None:
    update = replace(row("slack", SENT), kind=Kind.STATUS_UPDATE)
    rows = (row("sms", SENT, receipt_due_at=NOW), row("email", FAILED, Result.PERMANENT_FAILURE), update)
    (ada,) = rehearsed(status(person("ada", *rows)), None, CALLING)
    assert (ada.arrival, ada.is_passed) == (None, False)


def test_a_call_that_only_rang_counts_from_when_it_was_placed() -> None:
    call = row("voice", FAILED, Result.TEMPORARY_FAILURE, evidence=Evidence.CARRIER)
    (ada,) = rehearsed(status(person("ada", call)), None, CALLING)
    assert ada.arrival is not None
    assert ada.arrival.at == call.attempts[0].started_at


def test_operations_counts_once_a_page_about_the_recipient_has_arrived_there() -> None:
    found = status(person("ada", alerted_after_s=30), person("ben", alerted_after_s=90), person("cyd"))
    operations = status(person("ops", row("email", SENT)), moves=(move("email", "SENT", 31),), is_operations=True)
    told = {each.recipient_id: each.alerted_at for each in rehearsed(found, operations, CALLING)}
    assert told == {"ada": NOW + seconds(31), "ben": None, "cyd": None}


def test_a_page_of_any_round_counts() -> None:
    found = status(person("ada"), person("ada", row("email", SENT)), moves=(move("email", "SENT", 1),))
    (ada,) = rehearsed(found, None, CALLING)
    assert ada.arrival is not None
    assert ada.arrival.at == NOW + seconds(1)


@pytest.mark.parametrize(
    ("people", "verdict"),
    [
        ((person("ada", row("email", SENT)),), "✓ Ada is reached after 1 s: mail over p"),
        ((person("ada", alerted_after_s=2),), "✓ Ada is not reached; operations is told after 3 s"),
        ((person("ada"),), "✕ Ada is not reached, and operations is not told"),
    ],
)
def test_each_recipient_has_a_verdict(people: tuple[EscalationStatus, ...], verdict: str) -> None:
    ops = replace(
        person("ops", replace(row("slack", SENT), id="n-ops")), contact=Contact(recipient_id="ops", name="Ops", addresses={})
    )
    operations = status(ops, moves=(replace(move("slack", "SENT", 3), row_id="n-ops"),), is_operations=True)
    drilled = document(status(*people, moves=(move("email", "SENT", 1),) if people[0].notifications else ()), operations)
    assert f"  {verdict}" in list(drilled.lines())
    assert drilled.is_passed is verdict.startswith("✓")


def chained(*people: EscalationStatus, moves: tuple[Transition, ...] = ()) -> IncidentStatus:
    """Make an incident whose chain has paged Ada, then Ben and Cyd."""
    steps = (
        a_step(1, StepState.STARTED, paged=("ada",)),
        a_step(2, StepState.STARTED, paged=("ben", "cyd")),
        a_step(3, StepState.SKIPPED, to=()),
    )
    return replace(status(*people, moves=moves), steps=steps)


def a_step(number: int, state: StepState, *, to: tuple[str, ...] = ("x",), paged: tuple[str, ...] = ()) -> StepFacts:
    return StepFacts(
        id=f"s{number}", incident_id="i", run_number=1, number=number, to=to, after=seconds(60), state=state, paged=paged
    )


def test_a_chain_fails_if_anybody_of_its_last_step_is_not_reached_and_operations_is_not_told() -> None:
    reached = person("cyd", row("email", SENT))
    lost = document(chained(person("ada"), person("ben"), reached, moves=(move("email", "SENT", 70),)))
    assert not lost.is_passed
    lines = list(drill(lost, failing=[]).lines())
    assert "  ! Ada is not reached; the next step pages others" in lines
    assert "  ✕ Ben is not reached, and operations is not told" in lines
    assert lines[-1] == "✕ Failed: nobody knows of the incident of Ben."


def test_a_chain_passes_if_its_last_step_is_reached_and_says_whom_it_did_not_reach() -> None:
    people = (person("ada"), person("ben", row("email", SENT)), person("cyd", replace(row("email", SENT), id="n-cyd")))
    moves = (move("email", "SENT", 70), replace(move("email", "SENT", 71), row_id="n-cyd"))
    passed = document(chained(*people, moves=moves))
    assert passed.is_passed
    result = "✓ Passed: 3 of 3 recipients; after 1 of them the next step paged others."
    assert list(drill(passed, failing=[]).lines())[-1] == result


def test_operations_is_told_of_the_end_of_a_chain_for_all_of_its_last_step() -> None:
    operations = status(person("ops", row("slack", SENT)), moves=(move("slack", "SENT", 99),), is_operations=True)
    told = document(chained(person("ada"), person("ben", alerted_after_s=90), person("cyd")), operations)
    assert [(each.name, each.operations_alerted_after_s) for each in told.recipients] == [("Ada", None), ("Ben", 99), ("Cyd", 99)]
    assert told.is_passed
    result = "✓ Passed: 3 of 3 recipients; for 2 of them operations was told instead; after 1 of them the next step paged others."
    assert list(drill(told, failing=[]).lines())[-1] == result


def test_the_timeline_has_both_incidents_by_time_and_no_minor_moment() -> None:
    claimed = replace(move("email", "SENDING", 0), event="claimed")
    found = status(person("ada", row("email", SENT)), moves=(claimed, move("email", "SENT", 100)))
    ops = person("ops", replace(row("slack", SENT), id="n-ops"))
    operations = status(ops, moves=(replace(move("slack", "SENT", 7), row_id="n-ops"),), is_operations=True)
    drilled = document(found, operations)
    assert [(each.after_s, each.is_of_operations, each.event) for each in drilled.timeline] == [
        (7, True, "accepted"),
        (100, False, "accepted"),
    ]
    assert "  + 1 m 40 s   ✓ mail to Ada accepted (p)" in list(drilled.lines())
    assert "  + 7 s        ✓ operations: Slack message to Ops accepted (p)" in list(drilled.lines())


def test_a_deferral_names_its_end_as_a_time_of_the_drill() -> None:
    until = (NOW + seconds(60)).isoformat()
    deferred = replace(move("email", "QUEUED", 0), event="deferred", detail={"why": "limit", "until": until, "provider": "smtp"})
    found = document(status(person("ada", row("email", NotificationState.QUEUED)), moves=(deferred,)))
    assert "until + 1 m (smtp)" in found.timeline[0].text


def test_an_incident_that_does_not_come_to_rest_says_so() -> None:
    assert "  ! it had not come to rest when the drill ended" in list(document(status(person("ada")), is_settled=False).lines())


def test_a_storm_is_told_with_its_messages_before_its_people() -> None:
    found = status(person("ada", row("email", SENT)), moves=(move("email", "SENT", 1),))
    storm = StormDocument.of_incidents([found] * 3, Answering(has_public_url=False, calling=(), replying=()))
    first, *lines = document(found).model_copy(update={"storm": storm}).lines()
    assert first.endswith(", 3 incidents at once; below, the one of which somebody was told last")
    told, *lines = lines[1:]
    assert told == "  the messages about all 3:"
    assert lines == [*list(storm.lines())[1:], "  ✓ Ada is reached after 1 s at the latest: mail over p"]


def drill(*incidents: DrilledDocument, failing: list[str]) -> DrillDocument:
    is_passed = all(each.is_passed for each in incidents)
    return DrillDocument(is_passed=is_passed, failing=failing, incidents=list(incidents), warnings=["fax was left out"])


def test_the_result_comes_last() -> None:
    reached = document(status(person("ada", row("email", SENT)), moves=(move("email", "SENT", 1),)))
    operations = status(person("ops", row("email", SENT)), moves=(move("email", "SENT", 3),), is_operations=True)
    alerted = document(status(person("ben", alerted_after_s=2)), operations)
    lost, nobody = document(status(person("cyd"))), document(status())
    assert list(drill(reached, failing=[]).lines())[-2:] == ["! fax was left out", "✓ Passed: 1 of 1 recipients."]
    passed = "✓ Passed while twilio, slack failed: 2 of 2 recipients; for 1 of them operations was told instead."
    assert list(drill(reached, alerted, failing=["twilio", "slack"]).lines())[-1] == passed
    assert (
        list(drill(reached, lost, failing=["email"]).lines())[-1]
        == "✕ Failed while email failed: nobody knows of the incident of Cyd."
    )
    assert list(drill(nobody, failing=[]).lines())[-1] == "✕ Failed: an incident has no recipient."
    assert not nobody.is_passed
