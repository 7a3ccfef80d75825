"""A silence says what it covers, until when, who wants it so, and why."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from notifyflow.core.insight.silence_words import damaged, forecast, lasting, of_incident, sentence
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import IncidentSilence
from notifyflow.core.limits.silences import AuthorKind, Silence, read_line
from tests.builders import START

HOUR = timedelta(hours=1)
SILENCE = Silence(
    id="s-1",
    matchers=read_line("team=orders"),
    reason="upgrade",
    begins_at=START,
    ends_at=START + 2 * HOUR,
    created_at=START,
    author_kind=AuthorKind.COMMAND,
    author_id="",
    author="Grace",
)
at = Times(ZoneInfo("Europe/Zurich"), START).local


@pytest.mark.parametrize(
    ("silence", "after", "words"),
    [
        (SILENCE, HOUR, "is silenced until Wed 25 Nov 06:00:00 CET by Grace: upgrade"),
        (SILENCE, -HOUR, "will be silenced from Wed 25 Nov 04:00:00 CET until Wed 25 Nov 06:00:00 CET by Grace: upgrade"),
        (SILENCE, 3 * HOUR, "was silenced until Wed 25 Nov 06:00:00 CET by Grace: upgrade"),
        (
            replace(SILENCE, ended_at=START + HOUR, ended_by="Ada"),
            HOUR,
            "was silenced until Wed 25 Nov 05:00:00 CET by Grace: upgrade; ended by Ada",
        ),
        (replace(SILENCE, ended_at=START + HOUR), HOUR, "was silenced until Wed 25 Nov 05:00:00 CET by Grace: upgrade"),
    ],
)
def test_a_silence_is_a_sentence(silence: Silence, after: timedelta, words: str):
    assert sentence(silence, now=START + after, at=at) == f"team=orders severity<=ERROR {words}"


@pytest.mark.parametrize(
    ("line", "namespaces", "words"),
    [
        ("team=orders", None, " about ERROR or less"),
        ("team=orders severity<=INFO", frozenset({""}), " about INFO"),
        ("key=db-1 key=db-2 severity<=CRITICAL", None, ", if its key is db-1 or db-2"),
        ("team=orders", frozenset({"a", "b"}), " about ERROR or less, if its namespace is a or b"),
    ],
)
def test_its_forecast_names_what_it_holds(line: str, namespaces: frozenset[str] | None, words: str):
    silence = replace(SILENCE, matchers=read_line(line), namespaces=namespaces)
    assert (
        forecast(silence, at=at) == f"silenced by Grace until Wed 25 Nov 06:00:00 CET: upgrade; until then nobody is paged{words}"
    )


def test_of_several_silences_of_an_incident_the_one_that_ends_last_is_told():
    short, long, over = (
        IncidentSilence(silence_id=f"s-{end}", began_at=START, ended_at=START + end * HOUR, author="Grace", reason="upgrade")
        for end in (2, 3, 1)
    )
    assert lasting((short, long, over), START + HOUR) == long
    assert lasting((short, long, over), START + 3 * HOUR) is None
    assert of_incident(long, at=at) == "by Grace until Wed 25 Nov 07:00:00 CET: upgrade"


@pytest.mark.parametrize(
    ("held", "words"), [(0, "holds no incident"), (1, "still holds 1 incident"), (2, "still holds 2 incidents")]
)
def test_one_that_cannot_be_read_is_named_with_what_it_holds(held: int, words: str):
    assert damaged("s-1", held) == f"The silence s-1 cannot be read: it covers nothing new, and {words}"
