"""What Hypothesis makes: strategies for the values of the core, by the module that has them."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from notifyflow.core.content import compose
from notifyflow.core.model import Contact, Incident, Kind, Severity
from notifyflow.core.policy import (
    Acknowledgement,
    Failed,
    Policy,
    Repeat,
    Retries,
    Schedule,
    Tier,
    Unacknowledged,
)
from notifyflow.core.text import one_line

# -- words: policies, incidents, contents -------------------------------------------------------------------------------------

CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")

any_text = st.text(alphabet=st.characters(), max_size=300)  # control characters and lone surrogates, too
names = st.text(alphabet="abcdefghijklmnop -_.é数", min_size=1, max_size=12).map(str.strip).map(one_line).filter(bool)
spans = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=366))
severities = st.sampled_from(Severity)
instants = st.floats(100_000, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
zones = st.sampled_from(("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Kiritimati", "America/New_York"))


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    delays = tuple(draw(st.lists(st.timedeltas(timedelta(microseconds=1), timedelta(hours=1)), max_size=6)))
    window = max(sum(delays, timedelta(0)), timedelta(seconds=1)) + draw(st.timedeltas(timedelta(0), timedelta(hours=1)))
    return Schedule(delays=delays, jitter=draw(st.floats(0, 1)), window=window)


rules = st.one_of(st.builds(Failed, at_least=st.integers(1, 6)), st.builds(Unacknowledged, after=spans))
channel_sets = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Make any policy that is accepted."""
    first = Tier(name=draw(names), channels=draw(channel_sets))
    later = st.builds(
        Tier,
        name=names,
        channels=channel_sets,
        rules=st.lists(rules, min_size=1, max_size=3).map(tuple),
        shut_for=st.lists(severities, max_size=2, unique=True).map(tuple),
    )
    return Policy(
        name=draw(names),
        tiers=(first, *draw(st.lists(later, max_size=3))),
        retries=draw(
            st.builds(
                Retries,
                normal=schedules(),
                critical=schedules(),
                by_channel=st.dictionaries(st.sampled_from(CHANNELS), schedules(), max_size=2),
            )
        ),
        is_suspicion_on=draw(st.booleans()),
        suspected_after_attempts=draw(st.integers(1, 5)),
        held_back_for=draw(spans),
        acknowledgement=draw(st.sampled_from(Acknowledgement)),
        repeat=draw(
            st.none()
            | st.builds(Repeat, every=spans, rounds=st.integers(1, 5), never_for=st.lists(severities, max_size=2).map(tuple))
        ),
        delayed_after=draw(spans),
        fresh_for=draw(spans),
        fresh_for_critical=draw(spans),
        escalate_within=draw(spans),
        overdue_after=draw(st.dictionaries(st.sampled_from(CHANNELS), spans, max_size=3)),
        unconfirmed_after=draw(spans),
        critical_channels=draw(channel_sets),
    )


incidents = st.builds(
    Incident,
    key=names,
    title=any_text.filter(one_line),
    body=any_text,
    severity=severities,
    source=any_text.map(lambda text: text[:255]),
    url=st.none() | st.just("https://example.com/db?a=1&b=<2>"),
    labels=st.dictionaries(any_text.filter(one_line).map(lambda text: text[:100]), any_text, max_size=3),
    occurred_at=st.none() | instants,
)
contacts = st.builds(
    Contact,
    recipient_id=names,
    name=names,
    addresses=st.just({"email": "ada@example.com"}),
    timezone=zones,
)
contents = st.builds(
    compose,
    incidents,
    contacts,
    severity=severities,
    now=instants,
    round_started_at=instants,
    delayed_after=spans,
    link=st.none() | st.just("https://notify.example.com/a/" + "x" * 54),
    kind=st.sampled_from(Kind),
    notice=st.just("") | any_text,
    news=st.just("Ada took it"),
)


# -- sandbox: scripts ---------------------------------------------------------------------------------------------------------


@st.composite
def script_lines(draw: st.DrawFn) -> tuple[str, list[tuple[str, int]], str]:
    """Make a script's line; with it the counted steps it has, and what is said of all that follow."""
    from notifyflow.sandbox.script import PHRASES

    channel = draw(st.sampled_from(CHANNELS))
    phrases = st.sampled_from([phrase.example for phrase in PHRASES if channel in phrase.channels and phrase.example != "refuse"])
    counted = draw(st.lists(st.tuples(phrases, st.integers(1, 4)), max_size=4))
    last = draw(phrases)
    written = [draw(st.sampled_from(_counts(times))).format(phrase).strip() for phrase, times in counted]
    comma = draw(st.sampled_from((", then ", " then ", " ,  then  ")))
    return f"{channel}: {comma.join([*written, last])}", counted, last


def _counts(times: int) -> tuple[str, ...]:
    return {1: ("{}", "{} once", "{} 1 times"), 2: ("{} twice", "{}  2 times")}.get(times, (f"{{}} {times} times",))
