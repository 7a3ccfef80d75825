"""What may be a namespace of an API key, and which incidents a key reaches."""

import pytest

from notifyflow.core import namespaces
from notifyflow.core.namespaces import ALL, OPERATIONS, SHARED


@pytest.mark.parametrize("name", [SHARED, "prometheus", "a", "team orders", "ALL", "notifyflow/staging", "*.prod", "x" * 255])
@pytest.mark.parametrize("may_be_all", [False, True])
def test_a_name_of_one_line_is_a_namespace(name: str, may_be_all: bool) -> None:
    assert list(namespaces.faults("--namespace", name, may_be_all=may_be_all)) == []


@pytest.mark.parametrize("name", [" ", "two\nlines", " padded ", "x" * 256, "bell\x07"])
def test_what_cannot_be_read_back_as_it_was_written_is_no_namespace(name: str) -> None:
    (fault,) = namespaces.faults("--namespace", name, may_be_all=True)
    assert fault.where == "--namespace"


@pytest.mark.parametrize("may_be_all", [False, True])
def test_the_operations_incidents_namespace_is_reserved(may_be_all: bool) -> None:
    (fault,) = namespaces.faults("--namespace", OPERATIONS, may_be_all=may_be_all)
    assert "reserved" in fault.what


def test_only_a_key_that_opens_nothing_may_have_all() -> None:
    assert list(namespaces.faults("--namespace", ALL, may_be_all=True)) == []
    (fault,) = namespaces.faults("--namespace", ALL, may_be_all=False)
    assert "ingest" in fault.what
