"""The explorer: its oracle sees silence where it is, and nowhere else, and a story that fails is shrunk."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.delivery.silences.holds import Covered
from notifyflow.storage.delivery.notifications import Notifications
from tests.deep import examples
from tests.simulation.explorer import explore, oracle
from tests.simulation.explorer.oracle import Fault, Verdict, judge
from tests.simulation.explorer.stage import Firing, Seen, Sent
from tests.simulation.explorer.story import Acknowledges, Act, Flaps, Moves, Pauses, Response, Story, draw

pytestmark = pytest.mark.timeout(3600)  # a story ends by its own clock: how long it takes is up to what else the machine does
STORIES, CHUNK = examples(20, deep=100), 10
JOB_STORIES = examples(2, deep=5)
SILENCED_STORIES = 3
MINUTE_S = 60.0
UNTIL_S = 240 * MINUTE_S
OPEN = Flaps(0.0, 0.0, 0.0, 1, stays_open=True)


def a_story(*acts: Act, **fields: object) -> Story:
    """Return a story about a person with a text and a call, whose providers refuse both."""
    said = {"sms": (Response.REFUSES,), "voice": (Response.REFUSES,)}
    story = Story(seed=0, policy=INSISTENT, ways=("sms", "voice"), responses=said, limits={}, acts=(OPEN, *acts))
    return replace(story, **fields)  # type: ignore[arg-type]


def seen(*sent: tuple[float, str, str], **fields: object) -> Seen:
    """Return what was seen where the alert stays open: minute, channel and person of what was sent."""
    told = [Sent(at * MINUTE_S, channel, f"{who}@{channel}", "db-1", is_accepted=who == "ops") for at, channel, who in sent]
    return replace(Seen([Firing(0.0, "i")], told, until_s=UNTIL_S), **fields)  # type: ignore[arg-type]


def kinds(story: Story, what: Seen) -> list[str]:
    return [fault.kind.partition(",")[0] for fault in judge(story, what).faults]


BOTH = ((0, "sms", "ada"), (0, "voice", "ada"))
OPS = (10, "email", "ops")


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ((*BOTH, OPS), []),
        ((BOTH[0], OPS), []),
        ((BOTH[0],), ["voice was not tried", "nothing has arrived"]),
        ((), ["sms was not tried", "voice was not tried", "nothing has arrived"]),
        (BOTH, ["nothing has arrived"]),
        ((*BOTH, (60, "email", "ops")), ["nothing has arrived"]),
        ((BOTH[0], (12, "voice", "ada"), OPS), []),
    ],
)
def test_each_way_is_tried_or_operations_is_told(sent: tuple[tuple[float, str, str], ...], wanted: list[str]) -> None:
    assert kinds(a_story(), seen(*sent)) == wanted


def test_under_timers_a_call_comes_though_the_text_has_arrived() -> None:
    arrived = seen((0, "sms", "ada"), arrived=[3.0])
    assert kinds(a_story(), arrived) == ["voice was not tried"]
    assert kinds(a_story(policy=DEFAULT), arrived) == []
    assert kinds(a_story(), seen((0, "sms", "ada"), (10, "voice", "ada"), arrived=[3.0])) == []


def test_nothing_is_asked_for_once_a_person_has_acknowledged() -> None:
    taken = [Firing(0.0, "i", acknowledged_s=30.0)]
    assert kinds(a_story(Acknowledges(30.0, 0)), seen(firings=taken)) == []


def test_gaps_do_not_count_and_firings_do() -> None:
    flaps = Flaps(0.0, 240.0, 30.0, 14, stays_open=False)
    firings = [Firing(number * 270.0, f"i{number}", healed_s=number * 270.0 + 240.0) for number in range(14)]
    story = a_story(acts=(flaps,), policy=INSISTENT)
    told = Sent(34 * MINUTE_S, "email", "ops@email", '"down" comes and goes', is_accepted=True)
    called = seen((0, "sms", "ada"), (14, "voice", "ada"), firings=firings, arrived=[3.0])
    assert kinds(story, replace(called, sent=[called.sent[0], told])) == ["voice was not tried"]
    assert kinds(story, called) == ["operations was not told that the alert comes and goes"]
    assert kinds(story, replace(called, sent=[*called.sent, told])) == []
    assert kinds(story, seen(firings=firings[:2])) == ["sms was not tried", "voice was not tried"]
    assert kinds(story, seen(firings=[Firing(0.0, "i", healed_s=20.0)])) == []


def test_a_pause_of_everything_stops_the_clocks() -> None:
    story = a_story(Pauses(0.0, "", 3600.0))
    assert (
        kinds(story, seen((61, "sms", "ada"), (62, "voice", "ada"), (70, "email", "ops"), paused_intervals=[(0.0, 3600.0)])) == []
    )
    assert "voice was not tried" in kinds(story, seen((61, "sms", "ada"), paused_intervals=[(0.0, 3600.0)]))


def test_outages_put_off_what_is_due_by_a_quarter_of_an_hour_in_all() -> None:
    away = [(float(start), start + 75.0) for start in range(4, 7200, 79)]
    on_time = seen((0, "sms", "ada"), (16, "voice", "ada"), (30, "email", "ops"), away=away)
    assert kinds(a_story(), on_time) == []
    assert "voice was not tried" in kinds(a_story(), seen((0, "sms", "ada"), (60, "voice", "ada"), away=away))


def test_a_new_number_is_tried_where_nothing_arrived() -> None:
    story = a_story(Moves(3600.0))
    assert kinds(story, seen(*BOTH, OPS, moved_s=3600.0)) == ["her new number was not tried by"]
    assert kinds(story, seen(*BOTH, OPS, (70, "voice", "new"), moved_s=3600.0)) == []


def test_a_wish_rings_at_once_and_what_it_wishes_for_is_not_put_off() -> None:
    story = a_story(wishes=("voice",))
    assert kinds(story, seen((0, "sms", "ada"), (10, "voice", "ada"), arrived=[1.0])) == ["voice was not tried"]
    assert kinds(story, seen((0, "sms", "ada"), (0, "voice", "ada"), arrived=[1.0])) == []


def test_an_exemption_is_counted_and_is_no_fault() -> None:
    policy = replace(INSISTENT, is_suspicion_on=False)
    verdict = judge(a_story(policy=policy), seen())
    assert (verdict.faults, verdict.exempt["the policy suspects nothing"]) == ([], 3)


@pytest.mark.parametrize("first", range(0, STORIES, CHUNK))
def test_no_phone_stays_silent(first: int) -> None:
    failed = [found for seed in range(first, first + CHUNK) if (found := explore.explore(seed)).verdict.faults]
    assert not failed, "\n".join(map(str, failed))


def test_no_phone_stays_silent_about_a_job_that_fails() -> None:
    played = [explore.explore(seed, is_of_job=True) for seed in range(JOB_STORIES)]
    assert not [str(found) for found in played if found.verdict.faults]
    assert all(found.seen.firings for found in played)


def test_nothing_leaves_under_a_silence_and_nothing_is_lost_after_it() -> None:
    played = [explore.explore(seed, is_silenced=True) for seed in range(SILENCED_STORIES)]
    assert not [str(found) for found in played if found.verdict.faults]
    assert any(found.seen.paused_intervals for found in played)


@pytest.mark.parametrize(
    ("owner", "name", "swap", "seed", "wanted"),
    [
        (Covered, "until", lambda self, row: None, 0, "a page began under a silence"),
        (Notifications, "free_from", lambda self, silence_id, now: None, 0, "a page waited"),
        (holds, "release_all", lambda tx, incident: None, 12, "a page waited"),
    ],
)
def test_a_product_that_errs_about_silences_is_caught(
    owner: object, name: str, swap: object, seed: int, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, swap)
    found = explore.explore(seed, is_silenced=True, is_shrinking=False)
    assert found.verdict.faults[0].kind.startswith(wanted)
    assert "somebody silences" in str(found)


def test_stories_leave_no_file_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.simulation", "--explore", "--seeds", "2", "--jobs", "2"]
    subprocess.run(command, check=True, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL)
    assert list(tmp_path.iterdir()) == []


def test_a_story_is_the_same_whenever_it_is_drawn_and_played() -> None:
    once, again = explore.play(draw(3)), explore.play(draw(3))
    assert draw(3) == once.story
    assert once.seen == again.seen


def test_a_story_that_fails_is_shrunk_to_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is one that finds fault with every call here, so that the rest is left out."""

    def no_calls(story: Story, what: Seen) -> Verdict:
        has_called = any(each.channel == "voice" for each in what.sent)
        return Verdict([Fault("a call", "it called")] if has_called else [])

    monkeypatch.setattr(oracle, "judge", no_calls)
    seed = next(seed for seed in range(50) if len(draw(seed).acts) > 2 and "voice" in draw(seed).ways)
    found = explore.explore(seed)
    assert found.verdict.faults
    assert found.story.acts == (found.story.acts[0],)
    assert found.story.ways == ("voice",)
    assert "it called" in str(found)
    assert timedelta(seconds=found.seen.until_s) > timedelta(minutes=30)
