"""An ingest key can page only a few recipients a minute that are not in the directory."""

import json
from pathlib import Path
from typing import Any

import pytest

from notifyflow.core.accounts.keys import KeyScope
from tests.security.conftest import Target, targeted

DIRECTORY = """
[recipients.ada]
email = "ada@example.com"
phone = "+15005550006"

[default]
to = ["ada"]
"""


def post(target: Target, key: str, incident_key: str, *people: dict[str, str]) -> tuple[int, Any]:
    body = json.dumps({"key": incident_key, "title": "t", "recipients": people}).encode()
    code, response = target.request("POST", "/v1/incidents", body, authorization=f"Bearer {key}", content_type="application/json")
    return code, json.loads(response)


def stranger(number: int) -> dict[str, str]:
    return {"id": "ada", "phone": f"+1500555{number:04}"}


@pytest.fixture
def limited(tmp_path: Path) -> Any:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    with targeted(tmp_path, "all: ok", UNKNOWN_ADDRESSES_A_MINUTE="3", DIRECTORY=str(directory)) as target:
        yield target


def test_a_key_brings_few_strangers_a_minute_and_what_is_refused_is_not_stored(limited: Target):
    for number in range(3):
        assert post(limited, limited.key, f"k{number}", stranger(number))[0] == 201
    code, problem = post(limited, limited.key, "k3", stranger(3))
    assert (code, problem["type"]) == (429, "urn:notifyflow:problem:too-many-addresses")
    assert "add the recipients to the directory" in problem["detail"]
    assert "+1500" not in problem["detail"]
    assert limited.flow.find("k3") is None
    _, other = limited.flow.access().create("other", [KeyScope.INGEST], valid_for=None)
    assert post(limited, other, "k4", stranger(4))[0] == 201, "each namespace has a limit of its own"


def test_one_request_brings_no_more_than_a_minute_allows(limited: Target):
    people = [{"id": str(number), "email": f"p{number}@example.com"} for number in range(4)]
    code, problem = post(limited, limited.key, "k", *people)
    assert code == 429
    assert "Send fewer at once" in problem["detail"]
    assert post(limited, limited.key, "k", *people[:3])[0] == 201


def test_recipients_of_the_directory_may_be_paged_without_a_limit(limited: Target):
    ada = {"id": "whoever", "email": "ada@example.com", "phone": "+1 500 555 0006"}
    assert [post(limited, limited.key, f"k{number}", ada)[0] for number in range(8)] == [201] * 8
