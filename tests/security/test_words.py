"""Deceptive texts: right-to-left titles, encoded words, other schemes, and labels that are costly to match."""

import json
import re
from pathlib import Path

import pytest

from tests.security.conftest import Target, targeted

TURNED = "all is well \u202enwod si bd\u202c, go back to \u2067sleep\u2069"
SHOWN = "all is well nwod si bd, go back to sleep"


def post(target: Target, path: str, document: object, authorization: str | None = None) -> tuple[int, str]:
    status, response = target.request(
        "POST",
        path,
        json.dumps(document).encode(),
        authorization=authorization or f"Bearer {target.key}",
        content_type="application/json",
    )
    return status, response.decode()


def incident(*recipients: dict[str, object], **more: object) -> dict[str, object]:
    return {"key": "k", "title": "db is down", "severity": "CRITICAL", "recipients": recipients, **more}


def test_a_title_that_would_read_backwards_is_shown_as_it_is_written(tmp_path: Path):
    with targeted(tmp_path, SECRET_KEY="a key of sixteen letters or more") as target:
        ada = {"id": "ada", "name": "Ada\u202e", "email": "ada@example.com", "phone": "+4915112345678"}
        assert post(target, "/v1/incidents", incident(ada, title=TURNED))[0] in (200, 201)
        mail = target.sandbox.inbox.wait_for(lambda message: message.to == "ada@example.com")
        assert SHOWN in mail.text
        link = re.search(r"https://notify\.example(/a/\S+)", mail.text)
        assert link
        status, page = target.request("GET", link[1])
        assert status == 200
        shown = (mail.text, page.decode(), target.status("k").content.title)
        assert all(SHOWN in text for text in shown)
        assert not [text for text in shown if re.search("[\u202a-\u202e\u2066-\u2069]", text)]


@pytest.mark.parametrize("address", ["=?utf-8?q?eve=40evil.example?=@example.com", "=?utf-8?b?ZXZl?=@example.com"])
def test_an_address_that_reads_as_an_encoded_word_is_refused_and_silences_nobody(target: Target, address: str):
    alone = incident({"id": "eve", "email": address})
    status, response = post(target, "/v1/incidents", alone)
    assert (status, "encoded word" in response, address in response) == (422, True, False)
    status, response = post(
        target, "/v1/incidents", incident({"id": "eve", "email": address}, {"id": "ada", "email": "ada@example.com"})
    )
    assert (status in (200, 201), "encoded word" in response) == (True, True)
    target.sandbox.inbox.wait_for(lambda message: message.to == "ada@example.com")


@pytest.mark.parametrize("scheme", ["Token", "Digest", "BearerBearer", "Negotiate", ""])
@pytest.mark.parametrize("path", ["/v1/alertmanager", "/v1/cloudevents", "/v1/incidents"])
def test_a_key_under_another_scheme_lets_nobody_in(target: Target, path: str, scheme: str):
    status, _ = post(target, path, {"alerts": []}, authorization=f"{scheme} {target.key}")
    assert status == 401


def test_a_label_that_is_made_to_be_matched_for_ever_pages_at_once(tmp_path: Path):
    pattern = "*a" * 40 + "*b"  # backtracking on the text below would take longer than the suite may
    directory = tmp_path / "directory.toml"
    directory.write_text(
        f'''
        [recipients.ada]
        email = "ada@example.com"
        [[routes]]
        match = {{ team = "{pattern}" }}
        to = ["ada"]
        [default]
        to = ["ada"]
        '''
    )
    with targeted(tmp_path, DIRECTORY=str(directory)) as target:
        alert = {"labels": {"alertname": "x", "team": "a" * 1_000}, "annotations": {"summary": "db is down"}}
        assert post(target, "/v1/alertmanager", {"alerts": [alert] * 20})[0] == 202
        target.sandbox.inbox.wait_for(lambda message: "db is down" in message.text)
