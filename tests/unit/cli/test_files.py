import io
import json
from pathlib import Path

import pytest

from notifyflow.cli import files
from notifyflow.core.model import Severity
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
    incident, people = files.read(
        write("incident.json", INCIDENT), write("people.json", [{"id": "ben", "phone": "+15005550006"}])
    )
    assert (incident.title, incident.severity) == ("orders db is down", Severity.CRITICAL)
    assert [each.id for each in people] == ["ada", "ben"]


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(INCIDENT).encode())))
    incident, _ = files.read("-", None)
    assert incident.key == "db-1"


def test_a_byte_order_mark_is_no_fault(write):
    incident, _ = files.read(write("incident.json", b"\xef\xbb\xbf" + json.dumps(INCIDENT).encode()), None)
    assert incident.key == "db-1"


def test_the_faults_of_both_files_are_said_at_once(write):
    with pytest.raises(InvalidIncident) as refused:
        files.read(write("incident.json", {"key": "k", "severity": "BAD"}), write("people.json", [{"nick": "ben"}]))
    where = " ".join(fault.where for fault in refused.value.faults)
    for field in ("title", "severity", "nick", "id"):
        assert field in where


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
