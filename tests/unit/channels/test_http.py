"""How responses are read, without a network."""

import pytest
from hypothesis import given
from requests import Request

from notifyflow.channels.http import Http, HttpResponse, refusal, retry_after_s
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.pools import encode
from notifyflow.channels.tables import Row, Verdict, table
from notifyflow.errors import PermanentProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings
from tests.strategies import forms

DATE = "Wed, 25 Nov 2026 16:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "Wed, 25 Nov 2026 16:01:30 GMT", "Date": DATE}, 90),
        ({"Retry-After": "Wed, 25 Nov 2026 15:00:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Wed, 25 Nov 2026 16:01:30 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "²"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_relative_to_the_responses_own(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers) == expected


@pytest.mark.parametrize("body", [b"", b"[1]", b"\xff", b"[" * 100_000, b'"text"', b"nul"])
def test_a_body_that_is_no_json_object_has_no_fields(body: bytes) -> None:
    assert HttpResponse(status=200, headers={}, body=body).fields == {}


def test_the_providers_code_wins_over_the_status_and_the_providers_status_over_the_general_one() -> None:
    codes = table(Row("21211", Verdict.OURS, "bad sender", "x"), Row("404", Verdict.PERMANENT, "bad number", "x"))
    assert isinstance(refusal(500, codes, code=21211), RefusedUsError)
    assert isinstance(refusal(404, codes), PermanentProviderError)
    assert isinstance(refusal(404, {}), RefusedUsError)
    assert isinstance(refusal(429, codes, retry_after_s=3), TemporaryProviderError)
    assert isinstance(refusal(0, codes), UnknownOutcomeError)


@pytest.mark.parametrize("url", ["nonsense://example.com", "example.com/x", "https://"])
def test_a_url_that_cannot_be_requested_is_the_fault_of_its_author(url: str) -> None:
    settings = Settings.from_variables({})
    with pytest.raises(RefusedUsError):
        Http(settings).get(url)
    with pytest.raises(PermanentProviderError):
        Http(settings, guard=Guard()).get(url)


def test_a_header_that_http_does_not_allow_is_a_fault_of_ours() -> None:
    with pytest.raises(RefusedUsError):
        Http(Settings.from_variables({})).get("https://127.0.0.1:1/", headers={"X-Odd": "two\r\nlines"})


def test_a_code_that_is_free_text_is_not_repeated() -> None:
    assert refusal(400, {}, code="the number +4915112345678 is bad").code == "400"
    assert refusal(400, {}, code="unlisted_code").code == "unlisted_code"


def test_a_code_has_one_row_in_a_table() -> None:
    row = Row("1", Verdict.OURS, "x", "y")
    with pytest.raises(ValueError, match="two rows"):
        table(row, row)


@given(forms())
def test_a_form_is_encoded_as_requests_does_it(form: dict[str, object]) -> None:
    expected = Request("POST", "https://example.com", data=form).prepare().body
    assert encode(form).decode() == expected
