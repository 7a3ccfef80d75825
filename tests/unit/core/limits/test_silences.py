"""A silence covers what its matchers name, for a day at most, CRITICAL by its key only, and never what is notifyflow's own."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.limits.silences import (
    AuthorKind,
    Matchers,
    Silence,
    is_again,
    label_warnings,
    like,
    may_act,
    read_line,
    read_matchers,
    validate_silence,
)
from notifyflow.core.namespaces import OPERATIONS, SHARED
from notifyflow.errors import InvalidSilence
from tests.builders import START, an_incident

HOUR = timedelta(hours=1)
ORDERS = Matchers(labels=FrozenDict({"team": ("orders",)}))
SILENCE = Silence(
    id="s-1",
    matchers=ORDERS,
    reason="upgrade",
    begins_at=START,
    ends_at=START + 2 * HOUR,
    created_at=START,
    author_kind=AuthorKind.COMMAND,
    author_id="",
    author="Grace",
)


def labelled(key: str = "db-1", severity: Severity | None = Severity.ERROR, **labels: str) -> Incident:
    return replace(an_incident(key), severity=severity, labels=labels)


def test_matchers_are_read_as_they_are_written():
    words = ["team=orders", "team=pay*", "key=db-*", "severity<=warning"]
    matchers = read_matchers(words)
    assert matchers == Matchers(labels=FrozenDict({"team": ("orders", "pay*")}), keys=("db-*",), severity=Severity.WARNING)
    assert str(matchers) == "team=orders team=pay* key=db-* severity<=WARNING"
    assert read_matchers(str(matchers).split()) == matchers
    assert str(read_matchers(["a=b"])) == "a=b severity<=ERROR"


@given(st.dictionaries(st.text(min_size=1), st.lists(st.text(min_size=1), min_size=1)), st.sampled_from(Severity))
@example({"<\x85": ["0"]}, Severity.ERROR)
@example({"team<\t": ["0"]}, Severity.ERROR)
def test_a_line_of_matchers_is_read_as_it_is_written(labels: dict[str, list[str]], severity: Severity):
    try:
        matchers = read_matchers([f"{label}={value}" for label, values in labels.items() for value in values])
    except InvalidSilence:
        return
    assert read_line(str(matchers)) == matchers


def test_a_value_with_a_blank_is_quoted_as_in_a_shell():
    matchers = read_line("team=orders \"service=orders db\" 'severity<=WARNING'")
    assert matchers.labels == {"team": ("orders",), "service": ("orders db",)}
    assert str(matchers) == "'service=orders db' team=orders severity<=WARNING"
    with pytest.raises(InvalidSilence, match="a quotation mark has no other"):
        read_line("team='orders")


@pytest.mark.parametrize(
    ("labels", "severity", "line"),
    [
        ({"team": "orders", "free text": "a b"}, Severity.ERROR, "'free text=a b' team=orders severity<=ERROR"),
        ({"team": "orders", "severity": "critical"}, Severity.WARNING, "team=orders severity<=WARNING"),
        ({"severity": "critical"}, Severity.ERROR, "key=db-1 severity<=ERROR"),
        ({"team": "x" * 201, "a=b": "c", "key": "d"}, None, "key=db-1 severity<=ERROR"),
        ({}, Severity.INFO, "key=db-1 severity<=INFO"),
        ({"team": "orders"}, Severity.CRITICAL, "key=db-1 severity<=CRITICAL"),
    ],
)
def test_what_looks_like_an_incident_has_its_labels_or_its_key(labels: dict[str, str], severity: Severity | None, line: str):
    content = replace(labelled(severity=severity), labels=labels)
    assert str(like(content)) == line
    assert like(content).match(content)


def test_what_looks_like_an_incident_with_many_labels_is_valid():
    content = labelled(**{f"label-{number:02}": "x" for number in range(50)})
    validate_silence(like(content), None, author="Grace", reason="upgrade", begins_at=START, span=HOUR, now=START)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("orders", "is no matcher"),
        ("=orders", "is no matcher"),
        ("team=", "is no matcher"),
        ("severity=ERROR", "names no severity"),
        ("severity<=LOUD", "names no severity"),
        ("team<=orders", "compares something else"),
    ],
)
def test_what_is_no_matcher_is_refused(word: str, what: str):
    with pytest.raises(InvalidSilence) as refused:
        read_matchers(["team=orders", word])
    assert what in str(refused.value)


def test_all_matchers_must_match_and_one_pattern_of_each():
    matchers = read_matchers(["team=orders", "team=pay*", "zone=eu", "key=db-*"])
    assert matchers.match(labelled(team="payments", zone="eu"))
    assert not matchers.match(labelled(team="payments"))
    assert not matchers.match(labelled(team="stock", zone="eu"))
    assert not matchers.match(labelled("web-1", team="orders", zone="eu"))
    assert not matchers.match(labelled(severity=Severity.CRITICAL, team="orders", zone="eu"))
    assert matchers.match(labelled(severity=None, team="orders", zone="eu"))
    assert not ORDERS.match(replace(an_incident(), labels=None))


_TEXT = st.text("ab*", max_size=4)


@given(
    labels=st.dictionaries(st.sampled_from("xyz"), st.text("ab", max_size=4)),
    matched=st.dictionaries(st.sampled_from("xyz"), st.lists(_TEXT, min_size=1, max_size=3).map(tuple)),
    keys=st.lists(_TEXT, max_size=2).map(tuple),
    key=st.text("ab", min_size=1, max_size=4),
    severity=st.sampled_from(Severity),
    highest=st.sampled_from(Severity),
)
def test_matching_is_as_regular_expressions_have_it(
    labels: dict[str, str],
    matched: dict[str, tuple[str, ...]],
    keys: tuple[str, ...],
    key: str,
    severity: Severity,
    highest: Severity,
):
    def fits(patterns: tuple[str, ...], value: str) -> bool:
        return any(re.fullmatch(".*".join(map(re.escape, each.split("*"))), value) for each in patterns)

    order = list(Severity)
    expected = order.index(severity) >= order.index(highest)
    expected &= not keys or fits(keys, key)
    for name, patterns in matched.items():
        expected &= name in labels and fits(patterns, labels[name])
    matchers = Matchers(labels=matched, keys=keys, severity=highest)
    assert matchers.match(replace(an_incident(key, severity=severity), labels=labels)) is expected


def test_it_reaches_its_namespaces_and_never_our_own():
    content = labelled(team="orders")
    assert SILENCE.covers("", content)
    assert SILENCE.covers("payments", content)
    assert not SILENCE.covers(OPERATIONS, content)
    of_one = replace(SILENCE, namespaces=frozenset({"payments", OPERATIONS}))
    assert [of_one.covers(name, content) for name in ("payments", "", OPERATIONS)] == [True, False, False]


def test_it_is_in_force_from_its_begin_until_before_its_end():
    assert [SILENCE.is_in_force(START + hours * HOUR) for hours in (-0.1, 0, 1.9, 2)] == [False, True, True, False]
    ended = replace(SILENCE, ended_at=START + HOUR)
    assert [ended.is_in_force(START + hours * HOUR) for hours in (0.9, 1)] == [True, False]
    assert replace(SILENCE, ended_at=START + 3 * HOUR).until == SILENCE.ends_at


def test_it_is_ending_for_ten_seconds_at_most_until_its_end_is_carried_out():
    due = replace(SILENCE, due_at=SILENCE.ends_at)
    ends = [due.ends_at + timedelta(seconds=seconds) for seconds in (-1, 0, 9, 10)]
    assert [due.is_ending(at) for at in ends] == [False, True, True, False]
    assert not SILENCE.is_ending(ends[1])
    cancelled = replace(due, ended_at=START - HOUR)
    assert not cancelled.is_ending(START - HOUR)


def validate(matchers: Matchers = ORDERS, **changed: object) -> None:
    fields = {"author": "Grace", "reason": "upgrade", "begins_at": START, "span": HOUR, "now": START, "namespaces": None}
    validate_silence(matchers, **(fields | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "where", "what"),
    [
        ({"matchers": Matchers()}, "match", "every incident"),
        ({"matchers": Matchers(labels=FrozenDict({"team": ()}))}, "match", "every incident"),
        ({"matchers": Matchers(keys=("",))}, "match", "is empty"),
        ({"matchers": Matchers(keys=tuple(map(str, range(21))))}, "match", "more than 20 patterns"),
        ({"matchers": Matchers(keys=("a" * 201,))}, "match", "more than 200 characters"),
        ({"matchers": replace(ORDERS, severity=Severity.CRITICAL)}, "match", "only silenced by their keys"),
        ({"matchers": replace(ORDERS, keys=("a",), severity=Severity.CRITICAL)}, "match", "only silenced by their keys"),
        ({"matchers": Matchers(keys=("db-*",), severity=Severity.CRITICAL)}, "match", "only silenced by their keys"),
        ({"span": timedelta()}, "for", "0 s is not a valid length"),
        ({"span": 24.1 * HOUR}, "for", "24 h 06 m is not a valid length"),
        ({"begins_at": START - HOUR}, "at", "does not begin now"),
        ({"begins_at": START + 31 * 24 * HOUR}, "at", "does not begin now"),
        ({"author": " "}, "by", "is empty"),
        ({"reason": " "}, "why", "is empty"),
        ({"reason": "a" * 201}, "why", "more than 200 characters"),
        ({"namespaces": {OPERATIONS}}, "namespace", "notifyflow cannot be silenced"),
        ({"namespaces": {"*"}}, "namespace", "* cannot be silenced"),
        ({"namespaces": {"a\0"}}, "namespace", "control characters"),
        ({"namespaces": ()}, "namespace", "nothing cannot be silenced"),
    ],
)
def test_what_may_not_be_silenced_is_refused(changed: dict[str, object], where: str, what: str):
    with pytest.raises(InvalidSilence) as refused:
        validate(**changed)  # type: ignore[arg-type]
    (fault,) = (each for each in refused.value.faults if what in each.what)
    assert fault.where == where


def test_critical_incidents_are_silenced_by_their_keys():
    validate(Matchers(keys=("db-1", "db-2"), severity=Severity.CRITICAL))
    validate(begins_at=START + HOUR, span=24 * HOUR, namespaces={"payments", SHARED})
    assert replace(SILENCE, matchers=Matchers(keys=("a",), severity=Severity.CRITICAL)).is_for_critical
    assert not SILENCE.is_for_critical


def test_who_may_operate_everywhere_may_act_everywhere():
    assert may_act(None, None)
    assert may_act({"a"}, None)
    assert may_act({"a"}, {"a", "b"})
    assert not may_act({"a", "c"}, {"a", "b"})
    assert not may_act(None, {"a", "b"})


def test_the_same_matchers_again_within_an_hour_of_their_end_are_noticed():
    def after(hours: float, **changed: object) -> Silence:
        return replace(SILENCE, id="s-2", begins_at=START + hours * HOUR, ends_at=START + (hours + 1) * HOUR, **changed)

    assert is_again(after(1), [SILENCE])
    assert is_again(after(3), [SILENCE])
    assert not is_again(after(3.1), [SILENCE])
    assert not is_again(after(1, namespaces=frozenset({"a"})), [SILENCE])
    assert not is_again(after(1, matchers=Matchers(keys=("a",))), [SILENCE])
    assert not is_again(SILENCE, [SILENCE])
    assert not is_again(after(-1), [SILENCE])
    assert not is_again(after(1), [replace(SILENCE, ended_at=START)])
    assert not is_again(after(1.6), [replace(SILENCE, ended_at=START + 0.5 * HOUR)])


def test_a_label_is_warned_of_unless_something_had_it() -> None:
    matchers = read_matchers(["team=orders", "sevice=db"])
    assert list(label_warnings(matchers, ["team", "service"])) == [
        "no route, recent incident or watched job has the label 'sevice'; the nearest is 'service'"
    ]
    assert list(label_warnings(read_matchers(["team=x"]), [])) == [
        "no route, recent incident or watched job has the label 'team'"
    ]
