import io
import json
from pathlib import Path

import pytest

from notifyflow.cli.frame import files
from notifyflow.core.delivery.model import Severity
from notifyflow.errors import InvalidIncident

INCIDENT = {
    "key": "db-1",
    "title": "orders db is down",
    "severity": "CRITICAL",
    "recipients": [{"id": "ada", "email": "ada@example.com"}],
}


@pytest.fixture
def write(tmp_path: Path):
    def written(name: str, document: object) -> str:
        (tmp_path / name).write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return str(tmp_path / name)

    return written


def test_the_recipients_stand_inside_or_in_a_second_file_or_in_both(write):
    further = write("people.json", [{"id": "ben", "phone": "+15005550006"}])
    submission = files.read(write("incident.json", INCIDENT), further, policy="insistent", strict=True)
    assert (submission.incident.title, submission.incident.severity) == ("orders db is down", Severity.CRITICAL)
    assert [each.id for each in submission.recipients] == ["ada", "ben"]
    assert (submission.policy, submission.strict, submission.unread) == ("insistent", True, ())


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(INCIDENT).encode())))
    assert files.read("-", None).incident.key == "db-1"


def test_a_byte_order_mark_is_no_fault(write):
    assert files.read(write("incident.json", b"\xef\xbb\xbf" + json.dumps(INCIDENT).encode()), None).incident.key == "db-1"


def test_what_could_not_be_read_of_both_files_is_kept(write):
    submission = files.read(write("incident.json", {"key": "k", "severity": "BAD"}), write("people.json", [{"nick": "ben"}]))
    assert [fault.where for fault in submission.unread] == ["title", "severity", "recipients[0].nick", "recipients[0].id"]


@pytest.mark.parametrize("further", [b"{", b"\xff", "nowhere.json"])
def test_a_second_file_that_cannot_be_read_is_one_fault_beside_the_others(write, further: bytes | str):
    name = write("people.json", further) if isinstance(further, bytes) else further
    submission = files.read(write("incident.json", INCIDENT | {"severity": "BAD"}), name)
    severity, recipients = submission.unread
    assert (severity.where, recipients.where) == ("severity", "--recipients")
    assert recipients.what.startswith(f"{name}: ")


def test_without_an_incident_the_faults_of_both_files_are_listed_at_once(write):
    with pytest.raises(InvalidIncident) as refused:
        files.read("nowhere.json", write("people.json", [{"nick": "ben"}]))
    assert [fault.where for fault in refused.value.faults] == ["nowhere.json", "recipients[0].nick", "recipients[0].id"]


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"\xff\xfe", "UTF-8"), (b"{", "JSON"), (b"x" * (files.LIMIT_BYTES + 1), "larger than 4 MB"), (b"[]", "")],
    ids=["not text", "not JSON", "too large", "not an object"],
)
def test_a_file_that_is_no_incident_is_one_fault_that_says_so(write, content: bytes, what: str):
    with pytest.raises(InvalidIncident) as refused:
        files.read(write("incident.json", content), None)
    (fault,) = refused.value.faults
    assert what in str(fault)


@pytest.mark.parametrize("name", ["nothing/here.json", "."])
def test_a_file_that_cannot_be_read_is_a_fault(name: str):
    with pytest.raises(InvalidIncident) as refused:
        files.read(name, None)
    (fault,) = refused.value.faults
    assert fault.where == name
    assert "cannot be read" in fault.what
