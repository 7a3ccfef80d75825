"""What a log says was stored: lines in every format that ours may have, and the findings about what is gone."""

from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.core import ids
from notifyflow.core.upkeep import lost
from notifyflow.core.upkeep.lost import Mention

AT = datetime(2026, 11, 28, 3, 0, 0, 250_000, UTC)
DAY = timedelta(days=1)


def an_id(number: int, at: datetime = AT) -> str:
    return f"{ids.lowest(at)[:12]}7{number:03x}8{number:015x}"


INCIDENT, ESCALATION, NOTIFICATION, ATTEMPT = map(an_id, range(1, 5))


@pytest.mark.parametrize(
    "line",
    [
        f'{{"event": "engine.attempt_recorded", "attempt_id": "{ATTEMPT}", "incident_id": "{INCIDENT}", "result": "accepted"}}',
        f'{{"attempt_id":"{ATTEMPT}","incident_id":"{INCIDENT}","event":"engine.attempt_recorded"}}',
        f"level=info logger=notifyflow.engine event=engine.attempt_recorded attempt_id={ATTEMPT} incident_id={INCIDENT}",
        f"Nov 28 03:00:00 db-1 dramatiq[7]: engine.attempt_recorded incident_id={INCIDENT} attempt_id={ATTEMPT} code=''",
    ],
    ids=["json", "compact", "logfmt", "journal"],
)
def test_a_line_names_rows_in_any_format(line: str) -> None:
    event = "engine.attempt_recorded"
    assert lost.mentions(line) == (
        Mention(kind="incident", row_id=INCIDENT, event=event),
        Mention(kind="attempt", row_id=ATTEMPT, within=(INCIDENT,), event=event),
    )


def test_a_caller_may_note_the_ids_of_its_incidents() -> None:
    assert lost.mentions(f"  {INCIDENT}\n") == (Mention(kind="incident", row_id=INCIDENT),)
    assert lost.mentions(f"paged incident_id={INCIDENT}") == (Mention(kind="incident", row_id=INCIDENT),)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "engine.circuit_opened provider=twilio",
        f"app.feed_made feed_id={INCIDENT}",
        f"app.receipt_received attempt_id={ATTEMPT} fate=foreign",
        f'{{"event": "app.receipt_received", "attempt_id": "{ATTEMPT}", "fate": "waiting"}}',
        "incident_id=0123456789abcdef0123456789abcdef",
    ],
)
def test_a_line_that_shows_nothing_to_be_stored_names_no_row(line: str) -> None:
    assert lost.mentions(line) == ()


@pytest.mark.parametrize(("change", "read"), [("acknowledged", ("acknowledged", 7)), ("amended", ("", 0))])
def test_a_line_tells_of_the_changes_that_somebody_asked_for(change: str, read: tuple[str, int]) -> None:
    (mention,) = lost.mentions(f"engine.incident_changed incident_id={INCIDENT} change={change} version=7")
    assert (mention.change, mention.version) == read


def test_only_what_no_prune_may_have_deleted_is_judged() -> None:
    def is_certain(at: datetime) -> bool:
        return lost.is_certain(an_id(1, at), now=AT, kept_for=DAY)

    assert is_certain(AT)
    assert is_certain(AT - DAY)
    assert not is_certain(AT - DAY - timedelta(milliseconds=1))
    assert not is_certain(AT + timedelta(days=2))  # no clock of ours is that wrong


def test_a_row_that_is_gone_is_found_with_what_belonged_to_it() -> None:
    gone = [
        Mention(kind="incident", row_id=INCIDENT, event="engine.incident_changed"),
        Mention(kind="notification", row_id=NOTIFICATION, within=(INCIDENT,)),
        Mention(kind="attempt", row_id=ATTEMPT, within=(INCIDENT, NOTIFICATION)),
        Mention(kind="attempt", row_id=an_id(5), within=(INCIDENT, NOTIFICATION)),
    ]
    (found,) = lost.findings({each.row_id: each for each in gone}, ())
    assert (found.rule, found.machine, found.row_id, found.incident_id) == ("lost", "incident", INCIDENT, INCIDENT)
    assert found.what == (
        "was accepted at 2026-11-28T03:00:00.250+00:00, as engine.incident_changed says, and is gone, "
        "with 1 notification and 2 attempts"
    )


def test_an_attempt_of_an_incident_that_is_there_is_found_alone() -> None:
    alone = Mention(kind="attempt", row_id=ATTEMPT, within=(INCIDENT, NOTIFICATION), event="engine.attempt_recorded")
    (found,) = lost.findings({ATTEMPT: alone}, ())
    assert (found.machine, found.row_id, found.incident_id) == ("attempt", ATTEMPT, INCIDENT)
    assert found.what == "was begun at 2026-11-28T03:00:00.250+00:00, as engine.attempt_recorded says, and is gone"


def test_a_note_without_an_incident_is_found_as_well() -> None:
    (found,) = lost.findings({NOTIFICATION: Mention(kind="notification", row_id=NOTIFICATION)}, ())
    assert (found.incident_id, found.what) == ("", "was queued at 2026-11-28T03:00:00.250+00:00, and is gone")


def test_an_acknowledgement_that_is_undone_is_found() -> None:
    undone = Mention(kind="incident", row_id=INCIDENT, event="engine.incident_changed", change="acknowledged", version=7)
    (found,) = lost.findings({}, [undone])
    assert found.what == "was acknowledged (version 7), as engine.incident_changed says, and that is undone"


def test_a_receipt_of_an_attempt_without_a_row_is_found_with_both_reasons_for_it() -> None:
    found = lost.unmatched(ATTEMPT, "twilio")
    assert (found.machine, found.row_id) == ("attempt", ATTEMPT)
    assert found.what.startswith("has a receipt of twilio, and is gone; or another installation")
