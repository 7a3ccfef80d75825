"""Hypothesis strategies for the values of the core, grouped by module.

A strategy that needs nothing that was drawn stands outside its function: making it each time takes longer than drawing from it.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import regex
from hypothesis import strategies as st

from notifyflow.core.delivery.attempts import state_of
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.incident_events import EVENTS, IncidentEvent
from notifyflow.core.delivery.intervals import PausedInterval
from notifyflow.core.delivery.model import (
    DETAILS,
    AttemptState,
    Contact,
    Ended,
    EscalationState,
    Evidence,
    Incident,
    IncidentState,
    Kind,
    NotificationState,
    Recipient,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import (
    Acknowledgement,
    Failed,
    Policy,
    Repeat,
    Retries,
    RetrySchedule,
    Tier,
    Unacknowledged,
)
from notifyflow.core.messages.content import Content, compose
from notifyflow.core.text import one_line
from tests.capabilities import CALLING
from tests.facts import NOW, attempt, escalation, incident, page

CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")

any_text = st.text(alphabet=st.characters(), max_size=300)  # control characters and lone surrogates, too
graphemes = st.lists(
    st.sampled_from(
        ("x", "é", "e\u0301", "ก็", "한", "が", "👩\u200d👩\u200d👧\u200d👦", "🇩🇪", "👍🏽", "1\ufe0f\u20e3", "क्षि", " ")
    ),
    max_size=60,
)
"""Texts of visible characters, which stay whole next to any other."""
_SCRIPTS = (
    "orders db is down on host-1.example.com",
    "Überlastung für Straße №5",
    "データベースが応答しません。障害",
    "数据库没有响应主机",
    "데이터베이스가응답하지않음",
    "ฐานข้อมูลไม่ตอบสนอง",
    "डेटाबेस बंद है क्षि",
    "قاعدة البيانات لا تستجيب",
    "מסד הנתונים אינו מגיב",
    "база данных недоступна",
    "e\u0301o\u0308u\u0302\u0323",
    "🔥💥🚨😱",
    "👍🏽👩🏿\u200d🚒🧑🏻\u200d🤝\u200d🧑🏾",
    "👩\u200d👩\u200d👧\u200d👦❤️\u200d🔥",
    "🇩🇪🇯🇵🇺🇦",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
)


@st.composite
def titles(draw: st.DrawFn) -> str:
    """Make a title of up to 1,000 characters in one script, or in several, of whole visible characters."""
    scripts = draw(st.lists(st.sampled_from(_SCRIPTS), min_size=1, max_size=3))
    signs = [sign for script in scripts for sign in regex.findall(r"\X", script)]
    drawn = draw(st.lists(st.sampled_from(signs), min_size=1, max_size=80)) * draw(st.sampled_from((1, 1, 1, 12)))
    return one_line("".join(drawn)[:900]) or "x"


names = st.text(alphabet="abcdefghijklmnop -_.é数", min_size=1, max_size=12).map(str.strip).map(one_line).filter(bool)
spans = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=366))
severities = st.sampled_from(Severity)
instants = st.floats(100_000, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
zones = st.sampled_from(("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Kiritimati", "America/New_York"))
quiet_hours = st.sampled_from((None, None, "22:00-07:00", "00:30-16:30", "12:00-13:00"))


def incident_events() -> st.SearchStrategy[IncidentEvent]:
    return st.builds(
        IncidentEvent,
        subscriber=any_text,
        event=st.sampled_from(EVENTS),
        incident_id=any_text,
        at=instants,
        state=st.sampled_from(IncidentState),
        severity=st.sampled_from(Severity),
        version=st.integers(1, 10**9),
        by=any_text,
        via=any_text,
    )


_delays = st.lists(st.timedeltas(timedelta(microseconds=1), timedelta(hours=1)), max_size=6)
_up_to_an_hour = st.timedeltas(timedelta(0), timedelta(hours=1))
_jitters = st.floats(0, 1)


@st.composite
def schedules(draw: st.DrawFn) -> RetrySchedule:
    delays = tuple(draw(_delays))
    window = max(sum(delays, timedelta(0)), timedelta(seconds=1)) + draw(_up_to_an_hour)
    return RetrySchedule(delays=delays, jitter=draw(_jitters), window=window)


rules = st.one_of(st.builds(Failed, at_least=st.integers(1, 6)), st.builds(Unacknowledged, after=spans))
channel_sets = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=4, unique=True).map(tuple)


_later_tiers = st.lists(
    st.builds(
        Tier,
        name=names,
        channels=channel_sets,
        rules=st.lists(rules, min_size=1, max_size=3).map(tuple),
        shut_for=st.lists(severities, max_size=2, unique=True).map(tuple),
    ),
    max_size=3,
)
_retries = st.builds(
    Retries,
    normal=schedules(),
    critical=schedules(),
    by_channel=st.dictionaries(st.sampled_from(CHANNELS), schedules(), max_size=2),
)
_repeats = st.none() | st.builds(
    Repeat, every=spans, rounds=st.integers(1, 5), never_for=st.lists(severities, max_size=2).map(tuple)
)
_overdue = st.dictionaries(st.sampled_from(CHANNELS), spans, max_size=3)
_booleans, _numbers, _acknowledgements = st.booleans(), st.integers(1, 5), st.sampled_from(Acknowledgement)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Make any valid policy."""
    first = Tier(name=draw(names), channels=draw(channel_sets))
    return Policy(
        name=draw(names),
        tiers=(first, *draw(_later_tiers)),
        retries=draw(_retries),
        is_suspicion_on=draw(_booleans),
        suspected_after_attempts=draw(_numbers),
        suspected_after_deferral=draw(spans),
        acknowledgement=draw(_acknowledgements),
        repeat=draw(_repeats),
        delayed_after=draw(spans),
        fresh_for=draw(spans),
        fresh_for_critical=draw(spans),
        escalate_within=draw(spans),
        overdue_after=draw(_overdue),
        unconfirmed_after=draw(spans),
        critical_channels=draw(channel_sets),
    )


incidents = st.builds(
    Incident,
    key=names,
    title=any_text.filter(one_line),
    body=any_text,
    severity=severities,
    **dict.fromkeys(DETAILS, any_text.map(lambda text: text[:255])),
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
recipients = st.builds(
    Recipient,
    id=names | any_text,
    name=any_text,
    email=st.none() | any_text,
    phone=st.none() | st.just("+15550001234") | st.just("bad number"),
    addresses=st.dictionaries(st.sampled_from((*CHANNELS, "pager")), any_text, max_size=2),
    timezone=st.none() | zones | any_text,
    quiet=quiet_hours | any_text,
)


def _contents_of(incidents: st.SearchStrategy[Incident]) -> st.SearchStrategy[Content]:
    return st.builds(
        compose,
        incidents,
        contacts,
        severity=severities,
        now=instants,
        round_started_at=instants,
        due_at=instants,
        delayed_after=spans,
        link=st.none() | st.just("https://notify.example.com/a/" + "x" * 54),
        kind=st.sampled_from(Kind),
        notice=st.just("") | any_text,
        status_update=st.just("Ada acknowledged it"),
    )


contents = _contents_of(incidents)


_FAULTS: dict[str, tuple[str, object]] = {
    "titles": ("titles", "an unknown field, whose name begins as that of a known one"),
    "key": ("key", "\t"),
    "title": ("title", ""),
    "severity": ("severity", "URGENT"),
    "body": ("body", "x" * 65_537),
    "url": ("url", "ftp://example.com"),
    "occurred_at": ("occurred_at", "yesterday"),
    "labels.retries": ("labels", {"retries": 3, "team": "orders"}),
    "recipients[0].phne": ("recipients[0]", {"phne": "+1"}),
    "recipients[1].phone": ("recipients[1]", {"phone": "bad"}),
    "recipients[1].timezone": ("recipients[1]", {"timezone": "Berlin"}),
    "recipients[2].addresses.pigeon": ("recipients[2]", {"addresses": {"pigeon": "x"}}),
    "recipients[2].email": ("recipients[2]", {"email": 5}),
    "recipients[3].id": ("recipients[3]", {"id": " "}),
    "recipients[3].push": ("recipients[3]", {"push": "bad"}),
    "recipients[4]": ("recipients[4]", None),
    "recipients[5].id": ("recipients[5]", {"id": "r0"}),
    "recipients[10].slack": ("recipients[10]", {"slack": "bad"}),
}
"""The place of a fault → its cause: a field and its value, or fields of a recipient; None replaces the recipient by a text."""


@st.composite
def faulty_documents(draw: st.DrawFn) -> tuple[dict[str, object], set[str]]:
    """Make an incident file with one or more faults, and the set of their places."""
    people: list[object] = [{"id": f"r{number}", "email": "ada@example.com", "phone": "+15550001234"} for number in range(11)]
    document: dict[str, object] = {"key": "db-1", "title": "orders db is down", "recipients": people}
    places = draw(st.sets(st.sampled_from(sorted(_FAULTS)), min_size=1))
    for place in places:
        field, wrong = _FAULTS[place]
        if not field.startswith("recipients"):
            document[field] = wrong
            continue
        index = int(field.removeprefix("recipients[").removesuffix("]"))
        person = people[index]
        people[index] = {**person, **wrong} if isinstance(person, dict) and isinstance(wrong, dict) else "nobody"
    return document, places


_MARKUP = st.sampled_from(
    ("<!channel>", "</p><script>", "]]>", "&amp;", "{{ title }}", "'\"", "\r\nBcc: eve@example.com", "😀", "<at>all</at>")
)
_long_text = st.builds(
    lambda text, mark, times: (text + mark) * times, any_text, _MARKUP | st.just(""), st.sampled_from((1, 1, 40, 400))
)


def hostile_contents() -> st.SearchStrategy[Content]:
    """Contents up to every limit, with any markup, control characters and lone surrogates that an incident may have."""
    hostile = st.builds(
        Incident,
        key=_long_text.filter(one_line).map(lambda text: text[:255]),
        title=_long_text.filter(one_line).map(lambda text: text[:1000]),
        body=_long_text.map(lambda text: text[:65_536]),
        severity=severities,
        **dict.fromkeys(DETAILS, _long_text.map(lambda text: text[:255])),
        url=st.none() | st.just("https://example.com/db?a=1&b=<2>") | st.just("https://example.com/" + "x" * 2000),
        labels=st.dictionaries(_long_text.map(lambda text: text[:100]), _long_text.map(lambda text: text[:1000]), max_size=12),
        occurred_at=st.none() | instants,
    )
    return _contents_of(hostile.filter(lambda made: one_line(made.key) and one_line(made.title)))


@st.composite
def script_lines(draw: st.DrawFn) -> tuple[str, list[tuple[str, int]], str]:
    """Make a script's line, its counted steps, and the phrase for all later messages."""
    from notifyflow.sandbox.script import PHRASES

    channel = draw(st.sampled_from(CHANNELS))
    phrases = st.sampled_from([phrase.example for phrase in PHRASES if phrase.suits(channel) and phrase.example != "refuse"])
    counted = draw(st.lists(st.tuples(phrases, st.integers(1, 4)), max_size=4))
    last = draw(phrases)
    written = [draw(st.sampled_from(_counts(times))).format(phrase).strip() for phrase, times in counted]
    comma = draw(st.sampled_from((", then ", " then ", " ,  then  ")))
    return f"{channel}: {comma.join([*written, last])}", counted, last


def _counts(times: int) -> tuple[str, ...]:
    return {1: ("{}", "{} once", "{} 1 times"), 2: ("{} twice", "{}  2 times")}.get(times, (f"{{}} {times} times",))


_SOON = st.timedeltas(min_value=timedelta(0), max_value=timedelta(minutes=40))
_AGES = st.one_of(_SOON, _SOON, _SOON, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=5)))
_EDGES = (timedelta(microseconds=-1), timedelta(0), timedelta(microseconds=1))
_AT_OR_NEVER = st.none() | _AGES.map(lambda age: NOW + age)
_UP_TO_THREE, _MOSTLY_TRUE = st.integers(0, 3), st.integers(0, 9).map(bool)
_RESULTS, _ATTEMPT_STATES = st.sampled_from(Result), st.sampled_from(AttemptState)
_OVER = st.sampled_from((AttemptState.RECORDED, AttemptState.NOT_SENT))
_EVIDENCE, _HALVES = st.sampled_from((None, None, *Evidence)), st.sampled_from((None, None, "a9"))
_ENDED = st.none() | st.sampled_from(Ended)


@st.composite
def attempts(draw: st.DrawFn, number: int, *, may_run: bool) -> AttemptFacts:
    """Make an attempt that was recorded, released or, if it may, is running."""
    state = draw(_ATTEMPT_STATES if may_run else _OVER)
    result = draw(_RESULTS) if state is AttemptState.RECORDED else None
    started_at = NOW + draw(_AGES)
    receipt_due_at = _later(draw(_AT_OR_NEVER), started_at - NOW)
    return attempt(
        number,
        result,
        state=state,
        started_at=started_at,
        evidence=result and draw(_EVIDENCE),
        is_our_fault=result is Result.TEMPORARY_FAILURE and draw(_booleans),
        half=draw(_HALVES) if result is Result.TEMPORARY_FAILURE else None,
        receipt_due_at=receipt_due_at,
        unproven_at=_later(draw(_AT_OR_NEVER), started_at - NOW) if receipt_due_at is None else None,
    )


def _later(at: datetime | None, by: timedelta) -> datetime | None:
    return None if at is None else at + by


@st.composite
def pages(draw: st.DrawFn, channel: str, tier: int, policy: Policy, severity: Severity) -> NotificationFacts:
    """Make a page of an escalation that was not stopped, in the state that follows from its attempts."""
    number = draw(_UP_TO_THREE)
    made = tuple(draw(attempts(each, may_run=each == number)) for each in range(1, number + 1))
    ended = draw(_ENDED) if all(each.state is not AttemptState.RUNNING for each in made) else None
    row = page(
        channel,
        id=f"n-{tier}-{channel}",
        tier=tier,
        severity=severity,
        max_attempts=policy.retries.schedule(channel, severity).attempts,
        attempts=made,
        ended=ended,
        ended_at=ended and NOW + draw(_AGES),
        deferred_since=draw(_AT_OR_NEVER),
    )
    state = state_of(row)
    return replace(row, state=state, deferred_since=row.deferred_since if state is NotificationState.QUEUED else None)


_POLICY = policies()
_SHORT = st.timedeltas(timedelta(microseconds=1), timedelta(minutes=30))
_ONE_OR_TWO = st.integers(1, 2)
_LIVELY_RULES = st.one_of(st.builds(Failed, at_least=_ONE_OR_TWO), st.builds(Unacknowledged, after=_SHORT))


@st.composite
def lively_policies(draw: st.DrawFn) -> Policy:
    """Make a policy with a next tier, and with times as short as the rows' ages."""
    policy = draw(_POLICY)
    last = Tier(name="last", channels=draw(channel_sets), rules=(draw(_LIVELY_RULES),))
    return replace(
        policy,
        tiers=(*policy.tiers[:2], last),
        is_suspicion_on=True,
        suspected_after_attempts=draw(_ONE_OR_TWO),
        suspected_after_deferral=draw(_SHORT),
        escalate_within=draw(_SHORT),
        unconfirmed_after=draw(_SHORT),
        fresh_for=timedelta(days=2),
        fresh_for_critical=timedelta(days=2),
    )


_STOPPED = st.tuples(st.sampled_from((-30, 0, 2, 5, 29)), st.sampled_from((1, 5, 30, 1_500)))
paused_intervals = st.lists(_STOPPED, max_size=2).map(
    lambda spans: tuple(
        PausedInterval(began_at=NOW + timedelta(minutes=began), ended_at=NOW + timedelta(minutes=began + length))
        for began, length in spans
    )
)
"""Times in which an operator had stopped everything; they may overlap, and may not have ended yet."""


_ANY_POLICY = st.one_of(policies(), lively_policies(), lively_policies())  # two strategies: one that is given twice counts once
_LIVELY_POLICY = lively_policies()
_MOSTLY_CRITICAL = st.just(Severity.CRITICAL) | severities
_TIERS = st.sampled_from((1, 1, 1, 2, 2, 3, 0))
_SOME_CHANNELS = st.sets(st.sampled_from(CHANNELS))
_WISHES = st.lists(st.sampled_from(CHANNELS), max_size=3, unique=True)
_LIVE = st.sampled_from((EscalationState.ACTIVE, EscalationState.REACHED, EscalationState.EXHAUSTED))
_UNRESOLVED = st.sampled_from((IncidentState.OPEN, IncidentState.OPEN, IncidentState.ACKNOWLEDGED))
_URGENT = st.sampled_from((Severity.CRITICAL, Severity.ERROR))


@st.composite
def contexts(draw: st.DrawFn) -> DecisionContext:
    """Make a live context of any policy, with some tiers open and their pages in any state; most may still open a tier."""
    policy = draw(_ANY_POLICY)
    severity = draw(_MOSTLY_CRITICAL)
    tier = min(draw(_TIERS), len(policy.tiers) - draw(_MOSTLY_TRUE))
    ahead = {channel for each in policy.tiers[tier:] for channel in each.channels}
    addresses = frozenset(draw(_SOME_CHANNELS) | (ahead if draw(_UP_TO_THREE) else set()))
    rows = [
        draw(pages(channel, number, policy, severity))
        for number, opened in enumerate(policy.tiers[:tier], start=1)
        for channel in opened.channels
        if draw(_UP_TO_THREE)
    ]
    wishes = draw(_WISHES) if severity is Severity.CRITICAL else []
    early = [channel for channel in wishes if draw(_UP_TO_THREE)]
    rows += [draw(pages(channel, 0, policy, severity)) for channel in early]
    facts = escalation(
        policy=policy,
        severity=severity,
        tier=tier,
        state=draw(_LIVE),
        next_round_at=draw(st.sampled_from((None, NOW + policy.repeat.every))) if policy.repeat else None,
        repetition=draw(st.integers(1, policy.repeat.rounds if policy.repeat else 1)),
    )
    state = draw(_UNRESOLVED)
    return DecisionContext(
        escalation=facts,
        incident=incident(state=state),
        notifications=tuple(rows),
        addresses=addresses,
        wishes=tuple(wishes),
        calling=CALLING,
        paused_intervals=draw(paused_intervals),
    )


@st.composite
def brinks(draw: st.DrawFn) -> DecisionContext:
    """Make a context in which only failures, suspicions and their age decide whether the next tier opens."""
    policy = draw(_LIVELY_POLICY)
    first = Tier(name="first", channels=draw(channel_sets))
    then = Tier(name="then", channels=("voice",), rules=(Failed(at_least=draw(_ONE_OR_TWO)),))
    policy = replace(policy, tiers=(first, then))
    severity = draw(_URGENT)
    rows = tuple(draw(pages(channel, 1, policy, severity)) for channel in first.channels)
    facts = escalation(policy=policy, severity=severity, tier=1)
    return DecisionContext(
        escalation=facts,
        incident=incident(),
        notifications=rows,
        addresses=frozenset(CHANNELS),
        calling=CALLING,
        paused_intervals=draw(paused_intervals),
    )


@st.composite
def moments(draw: st.DrawFn, context: DecisionContext) -> datetime:
    """Make an instant for a decision, often exactly at, just before or just after a deadline of the policy or the rows."""
    policy = context.escalation.policy
    edges = [NOW + policy.freshness(context.escalation.severity)]
    edges += [NOW + policy.repeat.every] if policy.repeat else []
    edges += [NOW + rule.after for tier in policy.tiers for rule in tier.rules if isinstance(rule, Unacknowledged)]
    for row in context.notifications:
        edges += [row.ended_at + policy.escalate_within] if row.ended_at else []
        edges += [row.deferred_since + policy.suspected_after_deferral] if row.deferred_since else []
        for each in row.attempts:
            edges += [each.started_at + policy.escalate_within, each.started_at + policy.unconfirmed_after]
            edges += [at for at in (each.receipt_due_at, each.unproven_at) if at]
    stopped = sum(
        (each.ended_at - max(each.began_at, NOW) for each in context.paused_intervals if each.ended_at > NOW), timedelta()
    )
    edges += [edge + stopped for edge in edges] + [each.ended_at for each in context.paused_intervals]
    at_an_edge = st.sampled_from(edges).flatmap(lambda edge: st.sampled_from([edge + away for away in _EDGES]))
    return draw(st.one_of(at_an_edge, _AGES.map(lambda age: NOW + age)))


_FIELDS = (
    *("alerts", "status", "labels", "annotations", "fingerprint", "startsAt", "generatorURL", "externalURL", "truncatedAlerts"),
    *("routing_key", "event_action", "dedup_key", "payload", "summary", "source", "severity", "timestamp", "custom_details"),
    *("links", "href", "client", "client_url", "component", "class", "group"),
    *("id", "type", "subject", "time", "data", "data_base64", "datacontenttype", "title", "body", "url"),
    *("alertname", "instance", "description", "runbook_url"),
)
_WORDS = (
    *("firing", "resolved", "trigger", "acknowledge", "resolve", "com.example.disk.resolved", "critical", "none", "warning"),
    *("", "https://example.com/a", "http://[", "2026-11-25T03:14:00Z", "0001-01-01T00:00:00Z", "eyJhIjogMX0=", "x" * 70_000),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS) | any_text, inner, max_size=6),
    max_leaves=12,
)
"""Any JSON, often with fields and words of the integrations."""


def _objects(*names: str) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, json_values))


alert_groups = st.fixed_dictionaries(
    {
        "alerts": st.lists(
            st.fixed_dictionaries(
                {"status": st.sampled_from(("firing", "resolved")) | json_values},
                optional={
                    "labels": st.dictionaries(any_text, json_values, max_size=4) | json_values,
                    "annotations": _objects("summary", "description", "runbook_url"),
                    **dict.fromkeys(("fingerprint", "startsAt", "generatorURL"), json_values),
                },
            ),
            min_size=1,
            max_size=3,
        )
    },
    optional=dict.fromkeys(("status", "externalURL", "truncatedAlerts"), json_values),
)
pagerduty_events = st.fixed_dictionaries(
    {
        "event_action": st.sampled_from(("trigger", "acknowledge", "resolve")) | json_values,
        "payload": _objects("summary", "source", "severity", "timestamp", "custom_details", "component", "class") | json_values,
    },
    optional=dict.fromkeys(("dedup_key", "links", "client", "client_url"), json_values),
)
cloud_events = st.fixed_dictionaries(
    dict.fromkeys(("id", "source", "type"), any_text.filter(bool) | st.sampled_from(_WORDS[:9])),
    optional=dict.fromkeys(("subject", "time", "data", "data_base64", "datacontenttype", "severity", "ext"), json_values),
)


def forms() -> st.SearchStrategy[dict[str, object]]:
    """Forms as a provider's SDK gives them: a value, none, or a list of values."""
    value = st.none() | st.text() | st.binary() | st.integers() | st.booleans() | st.floats()
    several = st.lists(value) | st.tuples(value, value) | st.lists(st.lists(st.text()))
    return st.dictionaries(st.text(), value | several, min_size=1)
