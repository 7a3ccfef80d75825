import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.intake.integrations import inbound
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest, read_each, refusal
from notifyflow.core.intake.validation import validate_incident
from tests import strategies


def made(key: str = "k", title: object = "down", **expected: object) -> Incident:
    return inbound.incident("anything", key=key, title=title, **{"labels": {}, **expected})  # type: ignore[arg-type]


@settings(max_examples=60)
@given(
    strategies.any_text,
    strategies.json_values,
    st.dictionaries(strategies.any_text, strategies.json_values),
    strategies.json_values,
)
def test_any_input_becomes_a_valid_incident(key: str, anything: object, labels: dict[str, object], more: object):
    incident = made(
        key,
        anything,
        body=[inbound.say(more)],
        severity=more,
        source=anything,
        urls=[anything, more],
        labels=labels,
        occurred_at=more,
    )
    assert validate_incident(incident) == ()
    assert incident.key.startswith("anything/")


def test_what_is_too_long_is_cut_with_a_mark():
    incident = made(
        title="t" * 2_000,
        body=["b" * 40_000, "", "c" * 40_000],
        source="s" * 300,
        labels={"n" * 200: "v" * 2_000, "": "nameless", **{f"label-{number}": number for number in range(60)}},
    )
    assert incident.title == "t" * 999 + "…"
    assert incident.body.endswith("…\n\n(Cut here: there were 80,035 characters.)")
    assert len(incident.body) <= 65_536
    assert incident.source.endswith("…")
    assert incident.labels["n" * 99 + "…"] == "v" * 999 + "…"
    assert len(incident.labels) == 50


def test_a_missing_field_differs_from_an_empty_one():
    bare = made(labels=None)
    assert (bare.body, bare.source, bare.url, bare.labels) == (None, None, None, None)
    empty = made(body=[None, ""], source="", urls=[None, ""], labels={})
    assert (empty.body, empty.source, empty.url, empty.labels) == ("", "", "", {})


@pytest.mark.parametrize(
    ("urls", "url"),
    [
        (["nowhere"], None),
        (["nowhere", ""], None),
        (["", "nowhere"], ""),
        (["", "https://a.example"], "https://a.example"),
        (["https://" + "x" * 2_000], None),
    ],
)
def test_an_unusable_address_replaces_no_other(urls: list[str], url: str | None):
    assert made(urls=urls).url == url


def test_labels_that_were_left_out_are_counted():
    assert made(labels={f"label-{number}": "" for number in range(53)}).body == "(3 more labels were left out.)"


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", Severity.CRITICAL),
        (" Page ", Severity.CRITICAL),
        ("Err", Severity.ERROR),
        ("WARN", Severity.WARNING),
        ("none", Severity.INFO),
        ("whatever", Severity.ERROR),
        (None, Severity.ERROR),
        ({"level": 5}, Severity.ERROR),
    ],
)
def test_a_severity_that_nobody_knows_is_an_error(word: object, severity: Severity):
    assert made(severity=word).severity is severity


@pytest.mark.parametrize("key", ["", "k" * 300, "two\nlines", "blank ", "\ud800"])
def test_a_key_that_can_be_none_has_a_name_that_stays(key: str):
    assert made(key).key == made(key).key != made(key + "x").key
    assert made(key).key.startswith("anything/sha256:")


def test_an_integration_reaches_no_incidents_of_others_and_none_of_ours():
    assert made("notifyflow/operations").key == "anything/notifyflow/operations"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2018-08-03T09:52:26.739266876+02:00", "2018-08-03T09:52:26.739266+02:00"),
        ("2015-07-17T08:42:58.315+0000", "2015-07-17T08:42:58.315000+00:00"),
        ("0001-01-01T00:00:00Z", None),
        ("2018-08-03T09:52:26", None),
        ("yesterday", None),
        ("", None),
        (5, None),
    ],
)
def test_a_time_without_a_zone_or_out_of_range_is_left_out(given: object, expected: str | None):
    at = made(occurred_at=given).occurred_at
    assert (at and at.isoformat()) == expected


def test_the_first_web_address_counts():
    assert (
        made(urls=[None, "ftp://a", "https://a b", "http://[", "https://a/" + "x" * 2_000, "https://b", "https://c"]).url
        == "https://b"
    )


def test_values_are_written_as_text():
    assert (
        inbound.lines({"load": 0.75, "hosts": ["a", "é"], "note": "x", "none": None})
        == 'load: 0.75\nhosts: ["a", "é"]\nnote: x\nnone: '
    )


def test_a_value_that_is_nested_too_deeply_is_left_out():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert inbound.say(deep) == "…"


def test_identical_items_are_read_once_and_counted():
    read: list[object] = []

    def note(item: object) -> InboundRequest:
        read.append(item)
        if item == "bad":
            raise refusal("", "it is bad", "Mend it")
        action = Action.RESOLVE if item == {"over": 1} else Action.NOTIFY
        return InboundRequest(action=action, incident=made(), labels={})

    firing, over = {"over": 0}, {"over": 1}
    requests, faults = read_each("items", [firing, firing, "bad", over, firing, over, over, "bad"], note)
    assert [(each.action, each.times) for each in requests] == [
        (Action.NOTIFY, 2),
        (Action.RESOLVE, 1),
        (Action.NOTIFY, 1),
        (Action.RESOLVE, 2),
    ], "what comes in between keeps its place"
    assert read.count("bad") == 1
    assert [str(fault) for fault in faults] == [
        "items[2]: it is bad. Mend it.",
        "document: 1 more thing is wrong. Correct what is named, and try again.",
    ]


def test_what_is_nested_too_deeply_to_be_compared_is_read_each_time():
    deep: list[object] = []
    for _ in range(3_000):
        deep = [deep]
    requests, _ = read_each("", [deep, deep], lambda _: InboundRequest(action=Action.NOTIFY, incident=made(), labels={}))
    assert [each.times for each in requests] == [1, 1]
