import json

import pytest

from notifyflow.core.model import Incident, Recipient
from notifyflow.core.requests import Act, Page, Submission, read_act, read_page, read_submission
from notifyflow.errors import InvalidIncident, InvalidRequest, UnreadableIncident


def test_an_incident_file_is_a_submission():
    document = json.dumps({"key": "db-1", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]})
    recipients = (Recipient(id="ada", email="ada@example.com"),)
    assert read_submission(document) == Submission(incident=Incident(key="db-1", title="down"), recipients=recipients)


def test_a_submission_may_say_how_it_is_told():
    submission = read_submission('{"key": "db-1", "title": "down", "policy": "insistent", "strict": true}')
    assert (submission.policy, submission.strict) == ("insistent", True)


def test_everything_that_is_wrong_is_said_at_once():
    document = {"titel": "down", "key": "", "severity": "BAD", "labels": {"a": 1}, "strict": "yes", "recipients": [{"name": 3}]}
    with pytest.raises(InvalidIncident) as caught:
        read_submission(json.dumps(document))
    places = {fault.where for fault in caught.value.faults}
    assert {"titel", "title", "key", "severity", "labels.a", "strict", "recipients[0].id", "recipients[0].name"} <= places


@pytest.mark.parametrize("document", ["", "{", "[" * 100_000, "\x00", '"\ud800'])
def test_what_is_no_json_cannot_be_parsed(document: str):
    with pytest.raises(UnreadableIncident):
        read_submission(document)


@pytest.mark.parametrize("document", ["[]", "1", "null", '"text"'])
def test_what_is_no_table_is_refused(document: str):
    for read in (read_submission, read_act, read_page):
        with pytest.raises((InvalidIncident, InvalidRequest)) as caught:
            read(document)
        assert [fault.where for fault in caught.value.faults] == ["document"]


def test_nobody_need_say_who_it_is():
    assert read_act("") == read_act("{}") == read_act('{"by": null}') == Act()
    assert read_act('{"by": "ada"}') == Act(by="ada")


def test_who_is_to_be_paged_has_to_be_said():
    assert read_page('{"recipient": "ada", "by": "ben"}') == Page(recipient="ada", by="ben")
    with pytest.raises(InvalidRequest) as caught:
        read_page(json.dumps({"by": "b" * 256, "who": "ada"}))
    assert {fault.where for fault in caught.value.faults} == {"recipient", "by", "who"}
