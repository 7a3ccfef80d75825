import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from notifyflow.core.delivery.model import Incident, Recipient, Severity, Step
from notifyflow.core.intake.requests import (
    Act,
    PageAgain,
    Submission,
    add_recipients,
    read_act,
    read_duty_change,
    read_incident,
    read_new_silence,
    read_page_again,
    read_submission,
)
from notifyflow.core.intake.validation import check_incident
from notifyflow.errors import InvalidIncident, InvalidRequest, UnreadableIncident
from tests import strategies


def check(channel: str, address: str) -> str:
    if "bad" in address:
        raise ValueError(f"is no address for {'a phone' if channel in ('sms', 'voice') else channel}")
    return address


def faults_of(submission: Submission) -> list[str]:
    with pytest.raises(InvalidIncident) as refused:
        check_incident(
            submission.incident, submission.recipients, check, strategies.CHANNELS, is_strict=True, unread=submission.unread
        )
    return [str(fault) for fault in refused.value.faults]


def faults_of_file(document: str) -> list[str]:
    try:
        return faults_of(read_incident(document))
    except InvalidIncident as refused:
        return [str(fault) for fault in refused.faults]


def places_of(submission: Submission) -> list[str]:
    return [fault.partition(": ")[0] for fault in faults_of(submission)]


def test_an_incident_file_is_a_submission():
    document = json.dumps({"key": "db-1", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]})
    recipients = (Recipient(id="ada", email="ada@example.com"),)
    assert read_submission(document) == Submission(incident=Incident(key="db-1", title="down"), recipients=recipients)


def test_a_submission_may_name_its_policy_and_be_strict():
    submission = read_submission('{"key": "db-1", "title": "down", "policy": "insistent", "strict": true}')
    assert (submission.policy, submission.strict) == ("insistent", True)


def test_a_submission_names_who_is_next():
    then = [{"after": "10m", "to": [{"id": "ben", "phone": "+15005550006"}, "@primary"]}, {"to": ["operations"]}]
    document = {"key": "db-1", "title": "down", "then": then}
    steps = (
        Step(to=(Recipient(id="ben", phone="+15005550006"), "@primary"), after=timedelta(minutes=10)),
        Step(to=("operations",)),
    )
    assert read_submission(json.dumps(document)).then == read_incident(json.dumps(document)).then == steps
    assert [Step.from_dict(each) for each in then] == list(steps)
    assert [Step.from_dict(step.to_dict()) for step in steps] == list(steps)
    assert steps[1].to_dict() == then[1]


def test_a_submission_says_how_long_the_last_step_lasts():
    document = json.dumps({"key": "db-1", "title": "down", "then": [{"to": ["ben"]}], "over_after": "30m"})
    assert read_submission(document).over_after == read_incident(document).over_after == timedelta(minutes=30)
    assert read_submission('{"key": "db-1", "title": "down"}').over_after is None
    (fault,) = read_submission(document.replace('"30m"', "30")).unread
    assert (fault.where, fault.what) == ("over_after", "30 is not a duration")


def test_the_recipients_of_all_steps_count_for_the_limit():
    then = [{"to": ["ben", "cy"]}, {"after": "1m"}, 7]
    for document in ({"recipients": ["ada"], "then": then}, {"then": then[:1]}):
        with pytest.raises(InvalidIncident) as refused:
            read_submission(json.dumps(document), most_recipients=1)
        assert [fault.where for fault in refused.value.faults] == ["recipients"]
    assert read_submission(json.dumps({"then": then}), most_recipients=2).then == (
        Step(to=("ben", "cy")),
        Step(to=(), after=timedelta(minutes=1)),
        Step(to=()),
    )


def test_all_faults_of_a_submission_are_listed_at_once():
    document = {"titel": "down", "key": "", "severity": "BAD", "labels": {"a": 1}, "strict": "yes", "recipients": [{"name": 3}]}
    assert places_of(read_submission(json.dumps(document))) == [
        *("titel", "title", "severity", "labels.a", "recipients[0].id", "recipients[0].name", "strict", "key"),
    ]


@pytest.mark.parametrize("document", ["", "{", "[" * 100_000, "\x00", '"\ud800'])
def test_what_is_no_json_cannot_be_parsed(document: str):
    with pytest.raises(UnreadableIncident):
        read_submission(document)


@pytest.mark.parametrize("document", ["[]", "1", "null", '"text"'])
def test_what_is_no_table_is_refused(document: str):
    for read in (read_submission, read_act, read_page_again):
        with pytest.raises((InvalidIncident, InvalidRequest)) as caught:
            read(document)
        assert [fault.where for fault in caught.value.faults] == ["document"]


def test_nobody_need_say_who_it_is():
    assert read_act("") == read_act("{}") == read_act('{"by": null}') == Act()
    assert read_act('{"by": "ada"}') == Act(by="ada")


def test_a_recipient_to_page_is_required():
    assert read_page_again('{"recipient": "ada", "by": "ben"}') == PageAgain(recipient="ada", by="ben")
    with pytest.raises(InvalidRequest) as caught:
        read_page_again(json.dumps({"by": "b" * 256, "who": "ada"}))
    assert {fault.where for fault in caught.value.faults} == {"recipient", "by", "who"}


INCIDENT_FILE = """
{
  "key": "db-1",
  "title": "orders db is down",
  "body": "no answer for 30 s",
  "severity": "critical",
  "source": "prometheus",
  "url": "https://grafana.example.com/d/1",
  "labels": {"team": "orders"},
  "occurred_at": "2026-11-25T03:14:00+01:00",
  "recipients": [
    {
      "id": "ada",
      "name": "Ada",
      "email": "ada@example.com",
      "phone": "+15550001234",
      "slack": "C024BE91L",
      "teams": "https://example.com/workflow",
      "push": "arn:aws:sns:eu-west-1:123456789012:endpoint/APNS/app/1",
      "addresses": {"pager": "42"},
      "timezone": "Europe/Berlin"
    },
    {"id": "bob", "email": null}
  ]
}
"""


def test_more_recipients_than_one_request_may_have_are_refused() -> None:
    document = json.dumps({"key": "db-1", "title": "down", "recipients": [{"id": "ada"}, {"id": "ben"}]})
    with pytest.raises(InvalidIncident) as refused:
        read_submission(document, most_recipients=1)
    (fault,) = refused.value.faults
    assert (fault.where, fault.what) == ("recipients", "there are 2, 1 are allowed in one request")


def test_every_field_of_an_incident_can_stand_in_a_file() -> None:
    read = read_incident(INCIDENT_FILE)
    assert read.unread == ()
    assert read.incident == Incident(
        key="db-1",
        title="orders db is down",
        body="no answer for 30 s",
        severity=Severity.CRITICAL,
        source="prometheus",
        url="https://grafana.example.com/d/1",
        labels={"team": "orders"},
        occurred_at=datetime(2026, 11, 25, 2, 14, tzinfo=UTC),
    )
    assert read.recipients == (
        Recipient(
            id="ada",
            name="Ada",
            email="ada@example.com",
            phone="+15550001234",
            slack="C024BE91L",
            teams="https://example.com/workflow",
            push="arn:aws:sns:eu-west-1:123456789012:endpoint/APNS/app/1",
            addresses={"pager": "42"},
            timezone="Europe/Berlin",
        ),
        Recipient(id="bob"),
    )


def test_every_fault_of_an_incident_file_is_listed() -> None:
    document = {
        "titel": "down",
        "key": 5,
        "severity": "SEVERE",
        "body": "x" * 1_000_000,
        "url": "example.com",
        "labels": {"retries": 3},
        "occurred_at": "yesterday",
        "recipients": [{"name": "Ada", "phne": "+1"}, "bob", {"id": "cy", "email": "bad"}, {"id": " ", "push": "bad"}],
    }
    assert faults_of(read_incident(json.dumps(document))) == [
        "titel: 'titel' is not a known field. Use title, if that was meant.",
        "key: 5 is not text. Put it in quotes.",
        "title: it is missing. Give it a value.",
        "severity: 'SEVERE' is not a known severity. Use one of CRITICAL, ERROR, WARNING, INFO.",
        "labels.retries: 3 is not text. Put it in quotes.",
        "occurred_at: 'yesterday' is not a date and time. Write one as in 2026-11-25T03:14:00+01:00.",
        "recipients[0].phne: 'phne' is not a known field. Use phone, if that was meant.",
        "recipients[0].id: it is missing. Give it a value.",
        "recipients[1]: 'bob' is not a table. Give fields and their values.",
        "body: it has 1,000,000 characters, 65,536 are allowed. Shorten it, and put the rest where url points.",
        "url: 'exa…' (11 characters) is not a web address. Give one that begins with https:// or http://, or leave it out.",
        "recipients[2].email: 'b…' (3 characters) is no address for email. Correct the address; cy is not notified there.",
        "recipients[3].id: it is empty. Give it a name of its own.",
        "recipients[3].push: 'b…' (3 characters) is no address for push. "
        "Correct the address; the recipient is not notified there.",
    ]


def test_of_very_many_unknown_fields_the_first_are_named_and_the_others_counted() -> None:
    document = {f"field{number}": 1 for number in range(50_000)} | {"key": "a", "title": ""}
    faults = faults_of(read_incident(json.dumps(document)))
    assert len(faults) < 10
    assert "field4: 'field4' is not a known field. Use one of" in faults[4]
    assert faults[5] == "document: it has 49,995 more fields that are unknown. Remove them."
    assert "title: it is empty. Say in one line what happened." in faults


def test_of_very_many_faults_the_first_are_named_and_the_others_counted_to_the_last() -> None:
    recipients = [{"id": number, "email": 5} for number in range(3_000)]
    submission = read_incident(json.dumps({"key": "a", "title": "down", "recipients": recipients}))
    with pytest.raises(InvalidIncident) as refused:
        check_incident(submission.incident, submission.recipients, check, strategies.CHANNELS, unread=submission.unread)
    places = [fault.where for fault in refused.value.faults]
    assert places[:4] == ["recipients[0].id", "recipients[0].email", "recipients[1].id", "recipients[1].email"]
    assert (len(places), places[-1]) == (21, "document")
    assert refused.value.count >= 6_000


def test_a_table_with_more_names_than_anybody_gives_is_refused_whole_and_not_read() -> None:
    labels = {f"label{number}": number for number in range(1_001)}
    faults = faults_of(read_incident(json.dumps({"key": "a", "title": "down", "labels": labels})))
    assert faults[0] == "labels: there are 1,001, 1,000 are allowed. Leave some out."


def test_a_path_is_cut_however_long_the_names_in_it_are() -> None:
    submission = read_incident(json.dumps({"key": "a", "title": "down", "x" * 100_000: 1, "labels": {"y" * 100_000: 1}}))
    assert all(len(str(fault)) < 400 for fault in submission.unread)


def test_faults_of_addresses_are_listed_beside_those_of_the_form() -> None:
    document = {"key": "a", "title": "", "recipients": [{"id": "x", "phone": "bad"}, {"id": "y", "email": "bad"}]}
    places = ["title", "recipients", "recipients[0].phone", "recipients[1].email"]
    assert places_of(read_incident(json.dumps(document))) == places
    assert places_of(read_incident(json.dumps(document | {"titles": "x"}))) == ["titles", *places]


@given(strategies.faulty_documents())
def test_each_fault_of_a_document_is_listed_once_and_nothing_else(faulty: tuple[dict[str, object], set[str]]) -> None:
    document, places = faulty
    assert sorted(places_of(read_incident(json.dumps(document)))) == sorted(places)


def test_further_recipients_are_counted_on() -> None:
    inside = read_incident('{"key": "db-1", "title": "", "recipients": [{"id": "ada", "email": "bad"}]}')
    whole = add_recipients(inside, '[{"id": "ben", "email": "ben@example.com", "phne": "1"}, 5, {"id": "cy", "email": "bad"}]')
    assert [each.id for each in whole.recipients] == ["ada", "ben", "", "cy"]
    assert places_of(whole) == ["recipients[1].phne", "recipients[2]", "title", "recipients[0].email", "recipients[3].email"]
    assert places_of(add_recipients(inside, "{}")) == ["recipients", "title"]


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("", "document: it is not valid JSON: Expecting value: line 1 column 1 (char 0). Correct the JSON there."),
        ("[" * 100_000, "document: it is not valid JSON: it is nested too deeply. Correct the JSON there."),
        ('{"key": ' + "1" * 5_000 + "}", "document: it is not valid JSON: Exceeds the limit"),
        (
            '{"key": "a", "title": "b", "recipients": [{"id": "c", "email": "d"}], "severity": ' + "[" * 900 + "]" * 900 + "}",
            "severity: [[[[[[[...]]]]]]] is not a known severity. Use one of CRITICAL,",
        ),
        ("[]", "document: [] is not a table. Give fields and their values."),
        ("null", "document: null is not a table. Give fields and their values."),
        ('{"key": "a", "title": "b", "recipients": {}}', "recipients: {} is not a list. Put it in [ ]."),
    ],
)
def test_what_is_no_incident_file_is_refused_in_one_sentence(document: str, fault: str) -> None:
    (found,) = faults_of_file(document)
    assert found.startswith(fault)


def test_the_times_of_a_change_of_duty_need_an_offset() -> None:
    change = {"people": ["ada"], "begins_at": "2026-11-25T03:14:00+01:00", "ends_at": "2026-11-25T09:00:00Z"}
    assert read_duty_change(json.dumps(change)).ends_at == datetime(2026, 11, 25, 9, tzinfo=UTC)
    with pytest.raises(InvalidRequest) as caught:
        read_duty_change(json.dumps(change | {"begins_at": "2026-11-25T03:14:00", "ends_at": "2026-11-25T09:00:00"}))
    assert [str(fault) for fault in caught.value.faults] == [
        f"{name}: it has no offset from UTC. Add one, as in 2026-11-25T03:14:00+01:00." for name in ("begins_at", "ends_at")
    ]


def test_a_silence_begins_at_a_time_with_an_offset():
    silence = {"match": ["team=orders"], "duration": "2h", "reason": "upgrade", "begins_at": "2026-11-25T10:00:00+01:00"}
    read = read_new_silence(json.dumps(silence))
    assert (read.match, read.duration, read.namespaces) == (("team=orders",), timedelta(hours=2), ())
    assert read.begins_at == datetime(2026, 11, 25, 9, tzinfo=UTC)
    with pytest.raises(InvalidRequest, match="no offset from UTC"):
        read_new_silence(json.dumps(silence | {"begins_at": "2026-11-25T10:00:00"}))
