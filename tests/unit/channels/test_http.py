"""How answers are read, without a network."""

import pytest

from notifyflow.channels.http import Answer, refusal, retry_after_s
from notifyflow.channels.tables import Row, Verdict, table
from notifyflow.errors import PermanentProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError

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
def test_retry_after_is_seconds_or_a_date_beside_the_answers_own(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers) == expected


@pytest.mark.parametrize("body", [b"", b"[1]", b"\xff", b"[" * 100_000, b'"text"', b"nul"])
def test_a_body_that_is_no_json_object_has_no_fields(body: bytes) -> None:
    assert Answer(status=200, headers={}, body=body).fields == {}


def test_the_providers_code_wins_over_the_status_and_the_providers_status_over_the_general_one() -> None:
    codes = table(Row("21211", Verdict.PERMANENT, "bad number", "x"), Row("404", Verdict.OURS, "bad account", "x"))
    assert isinstance(refusal(500, codes, code=21211), PermanentProviderError)
    assert isinstance(refusal(404, codes), RefusedUsError)
    assert isinstance(refusal(404, {}), PermanentProviderError)
    assert isinstance(refusal(429, codes, retry_after_s=3), TemporaryProviderError)
    assert isinstance(refusal(0, codes), UnknownOutcomeError)


def test_a_code_that_is_free_text_is_not_repeated() -> None:
    assert refusal(400, {}, code="the number +4915112345678 is bad").code == "400"
    assert refusal(400, {}, code="unlisted_code").code == "unlisted_code"


def test_a_code_stands_in_a_table_once() -> None:
    row = Row("1", Verdict.OURS, "x", "y")
    with pytest.raises(ValueError, match="twice"):
        table(row, row)
