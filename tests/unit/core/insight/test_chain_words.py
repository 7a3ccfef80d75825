"""The steps of a chain in words."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from notifyflow.core.delivery.chain import place
from notifyflow.core.delivery.facts import NotificationFacts, StepFacts
from notifyflow.core.delivery.model import IncidentState, Kind, NotificationState, Result, Severity, StepState
from notifyflow.core.insight import chain_words as words
from notifyflow.core.insight.chain_steps import Because, NextStep
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.postmortem import markdown
from notifyflow.core.insight.report_document import IncidentReportDocument
from notifyflow.core.insight.timeline import timeline
from notifyflow.core.insight.timeline_words import sentence
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.text import span
from tests.chains import NAMES, chain, moved, step
from tests.statuses import AT, attempt, escalation, notification

N = NotificationState
STARTED, SKIPPED, STOPPED = StepState.STARTED, StepState.SKIPPED, StepState.STOPPED
TEN = timedelta(minutes=10)


def name(who: str) -> str:
    return NAMES.get(who, who)


def brief(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def coming(number: int = 2, left: timedelta = timedelta(minutes=8), **fields: object) -> NextStep:
    given: dict[str, object] = {"people": {"ben": "Ben"}, "waits_for": ("ada",), **fields}
    return NextStep(step=step(number), at=AT + left, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (coming(), "in 8 m, at 02:22:03: Ben (@secondary), or at once when all ways to Ada have failed"),
        (
            coming(left=timedelta(seconds=61)),
            "in 2 m, at 02:15:04: Ben (@secondary), or at once when all ways to Ada have failed",
        ),
        (
            coming(all_failed_at=AT + timedelta(minutes=1)),
            "in 8 m, at 02:22:03: Ben (@secondary), or at once when all ways to Ada have failed,"
            " at 02:15:03 at the latest if no receipt comes",
        ),
        (coming(left=timedelta(seconds=22), waits_for=()), "in 22 s: Ben (@secondary)"),
        (coming(left=timedelta()), "now: Ben (@secondary)"),
        (coming(left=timedelta(), late_since=AT - timedelta(seconds=9)), "now, 9 s late: Ben (@secondary)"),
        (coming(people={}, waits_for=()), "in 8 m, at 02:22:03: @secondary, but nobody is on duty"),
        (
            coming(3, people={}, waits_for=(), is_paged_already=True),
            "in 8 m, at 02:22:03: leads and Cy, but its people are paged already",
        ),
        (
            coming(4, people={}, waits_for=("ada", "ben")),
            "in 8 m, at 02:22:03: operations is told that nobody has acknowledged,"
            " or at once when all ways to Ada and Ben have failed",
        ),
    ],
)
def test_the_next_step_has_its_time_its_people_and_what_would_start_it_sooner(found: NextStep, text: str) -> None:
    assert words.coming(found, name=name, now=AT, brief=brief) == text


def in_list(*steps: StepFacts, **people: str) -> str:
    return words.in_list(replace(place(steps or chain().steps), people=people), brief=brief)


def test_a_line_of_a_list_says_who_is_next_and_how_far_the_chain_has_come() -> None:
    at = f"{AT + TEN:%H:%M:%S}"
    assert in_list(ben="Ben") == f"next: Ben (@secondary) at {at}; step 1 of 3"
    assert in_list() == f"next: nobody else (@secondary) at {at}; step 1 of 3"
    begun = (step(1, STARTED), step(2, SKIPPED), step(3, STARTED))
    assert in_list(*begun, step(4, waits_since=AT, due_at=AT + TEN)) == f"operations is told at {at}; step 3 of 3"
    assert in_list(*begun, step(4, SKIPPED)) == "the chain is over"
    assert in_list(step(1, STARTED), step(2), step(3), step(4)) == ""


def shown(status: IncidentStatus, found: NextStep | None = None) -> list[tuple[str, str, str]]:
    lines = words.lines(status, status.steps, found, name=name, now=AT, brief=brief)
    return [(each.look.sign, each.who, each.status_text) for each in lines]


def test_a_chain_is_a_line_of_steps() -> None:
    assert shown(chain(), coming()) == [
        ("◐", "Ada", "started at 02:14:03: mail went out"),
        ("○", "Ben (@secondary)", "in 8 m, at 02:22:03"),
        ("○", "leads and Cy", "10 m later"),
        ("○", "operations is told", "10 m later"),
    ]
    lines = words.lines(chain(), chain().steps, coming(), name=name, now=AT, brief=brief)
    assert [(each.is_next, each.is_ahead) for each in lines] == [(False, False), (True, True), (False, True), (False, True)]


def test_what_became_of_its_steps_is_said() -> None:
    over = chain(
        step(1, STOPPED, paged=("ada",)),
        step(2, SKIPPED, reason="nobody_on_duty"),
        step(3, STOPPED, started_at=None),
        step(4, STOPPED),
    )
    assert [status_text for _, _, status_text in shown(over)] == [
        "started at 02:14:03, stopped: mail went out",
        "skipped: nobody is on duty",
        "was not needed",
        "started at 02:44:03, stopped: nothing went out",
    ]
    assert shown(chain(step(4, SKIPPED, reason="chain_over"))) == [("✕", "operations", "nobody acknowledged")]
    assert shown(chain(step(4, waits_since=AT)), coming(4))[0][1] == "operations is told"


def test_a_step_says_by_which_ways_it_has_paged_its_people() -> None:
    def status_text(*rows: NotificationFacts, **fields: object) -> str:
        ada = escalation("ada", *rows)
        facts = replace(ada.facts, **fields)  # type: ignore[arg-type]
        status = chain(step(1, STARTED, paged=("ada",)), replace(step(1, STARTED, started_at=AT + TEN), id="x", run_number=2))
        return words.status_text(replace(status, escalations=(replace(ada, facts=facts),)), status.steps[0], brief=brief)

    sent, failed = notification("email", N.SENT, attempt(1, Result.ACCEPTED)), notification("voice", N.FAILED)
    assert status_text(sent, failed, notification("sms", N.QUEUED)) == "started at 02:14:03: mail went out"
    assert status_text(failed, notification("sms", N.QUEUED)) == "started at 02:14:03: nothing has gone out yet"
    assert status_text(failed) == "started at 02:14:03: nothing went out"
    assert status_text(sent, started_at=AT + TEN) == "started at 02:14:03: nothing went out", "that is the newer run's"
    assert status_text(replace(sent, kind=Kind.STATUS_UPDATE)) == "started at 02:14:03: nothing went out"


def test_the_last_word_says_why_nothing_comes() -> None:
    def said(status: IncidentStatus, found: NextStep | None = None) -> str:
        return words.last_word(status, NextEvents(escalations={}, now=AT, step=found), name=name, brief=brief)

    assert said(chain(), coming()).startswith("in 8 m")
    assert said(chain(state=IncidentState.RESOLVED)) == ""
    assert said(replace(chain(), steps=())) == ""
    assert said(chain(severity=Severity.INFO)) == "INFO starts no later step."
    assert "nobody has acknowledged" in said(chain(step(1, STARTED), step(4, SKIPPED)))


def test_everybody_has_a_name_also_who_is_not_paged_yet() -> None:
    next_events = NextEvents(escalations={}, now=AT, step=coming(people={"eve": "Eve"}), names={"cy": "Cy Young", "ada": "?"})
    known = words.names(chain(), next_events)
    assert [known(each) for each in ("ada", "cy", "eve", "leads")] == ["Ada", "Cy Young", "Eve", "leads"]
    assert words.names(chain(), replace(next_events, step=None))("eve") == "eve"


@pytest.mark.parametrize(
    ("after", "text"),
    [(0, "0 s"), (90, "1 m 30 s"), (600, "10 m"), (690, "11 m 30 s"), (3600, "1 h"), (5400, "1 h 30 m")],
)
def test_a_time_is_said_as_it_was_given(after: int, text: str) -> None:
    assert span(timedelta(seconds=after)) == text


@pytest.mark.parametrize(
    ("why", "text"),
    [
        (Because.FIRST, ""),
        (Because.TIME, "nobody has acknowledged in 10 m"),
        (Because.ALL_FAILED, "all ways to Ada have failed"),
        (Because.SKIPPED, "the step before paged nobody"),
    ],
)
def test_why_a_step_began(why: Because, text: str) -> None:
    assert words.begun(why, after=TEN, before="Ada") == text


STORY = replace(
    chain(
        step(1, STARTED, paged=("ada",)),
        step(2, STARTED, paged=("ben",)),
        step(3, SKIPPED, reason="paged_already"),
        step(4, SKIPPED, reason="chain_over"),
    ),
    transitions=(
        moved(1, "step_due", STARTED),
        moved(2, "step_due", STARTED, TEN),
        moved(3, "step_due", SKIPPED, 1.5 * TEN, reason="paged_already"),
        moved(4, "restarted", StepState.WAITING, 1.5 * TEN),
        moved(4, "chain_over", SKIPPED, 2.5 * TEN, reason="chain_over"),
    ),
)


def test_the_timeline_tells_who_was_called_and_why() -> None:
    entries = timeline(STORY, explain=lambda channel, code: "")
    assert [sentence(each, name=name, brief=brief) for each in entries if not each.is_minor] == [
        "step 2 starts, since nobody has acknowledged in 10 m: Ben (@secondary)",
        "step 3 (leads and Cy) is skipped: its people are paged already",
        "the time until step 4 begins anew",
        "the chain is over, since nobody has acknowledged in 10 m",
    ]
    assert entries[0].is_minor, "the incident's own entry says it"


def test_the_json_of_an_incident_has_its_steps_and_the_next_one() -> None:
    next_events = NextEvents(escalations={}, now=AT, step=coming())
    document = IncidentReportDocument.of_all(chain(), next_events, ()).as_json()
    assert [(each["number"], each["to"], each["after_s"], each["state"]) for each in document["steps"]][1:] == [
        (2, ["@secondary"], 600.0, "WAITING"),
        (3, ["leads", "cy"], 600.0, "WAITING"),
        (4, [], 600.0, "WAITING"),
    ]
    step = document["next_step"]
    assert (step["number"], step["people"], step["waits_for"], step["late_since"]) == (2, ["ben"], ["ada"], None)
    assert step["text"].startswith("in 8 m, at 2026-11-25 02:22:03 UTC: Ben (@secondary), or at once")
    assert IncidentReportDocument.of_all(chain(), replace(next_events, step=None), ()).next_step is None


def test_the_post_mortem_has_the_chain_as_a_table() -> None:
    text = markdown(STORY, (), here=str)
    assert "| 1 | 2 | Ben (@secondary) | started at Wed 25 Nov 2026 02:24:03 UTC: nothing went out |" in text
    assert "| 1 | 3 | leads and cy | skipped: its people are paged already |" in text
    assert "## Its chain" not in markdown(replace(STORY, steps=()), (), here=str)
