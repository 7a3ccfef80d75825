"""``notifyflow code``: what a provider's code means."""

import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.cli.insight import codes
from notifyflow.errors import InvalidRequest
from tests.unit.channels.test_codes_page import sections


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["code", *arguments], env={"COLUMNS": "200"})


def read(code: str) -> Any:
    return json.loads(run(code, "--json").stdout)


def test_a_code_is_explained_with_what_is_done_about_it_and_its_source():
    shown = run("30006").output
    assert "30006  Twilio: the number is a landline, or its carrier cannot be reached." in shown
    assert "A permanent failure: it is not tried again" in shown
    assert "Source: Twilio Error Dictionary" in shown
    assert read("30006") == [
        {
            "code": "30006",
            "table": "Twilio",
            "counts_as": "permanent",
            "evidence": None,
            "meaning": "the number is a landline, or its carrier cannot be reached",
            "source": "Twilio Error Dictionary",
        }
    ]


def test_every_code_of_the_reference_is_explained():
    known = {code for _, table in sections() for code in table}
    assert len(known) > 100
    tables = codes.tables_by_title()
    for code in sorted(known):
        found = codes.explain(code, tables)
        assert code in [each.code for each in found]
        assert all(each.consequence for each in found)


def test_a_code_that_several_providers_have_is_explained_for_each():
    assert [each["table"] for each in read("503")] == ["SMTP", "HTTP"]
    assert "nobody knows" not in run("503").output.lower()
    assert "may come twice" in run("502").output


def test_a_code_without_a_row_is_explained_by_that_of_its_kind():
    assert [(each["code"], each["table"]) for each in read("5.7.54")] == [("5.7.x", "SMTP")]
    assert {each["code"] for each in read("599")} == {"5xx"}


def test_what_a_provider_reports_later_is_explained_as_well():
    (found,) = read("undelivered")
    assert found["counts_as"] == "as its error code says"
    assert "A report that comes after a send" in run("delivered").output


@pytest.mark.parametrize(("typed", "remedy"), [("throtling", "Use Throttling"), ("77777777", "Look it up at the provider")])
def test_a_code_in_no_table_gets_a_suggestion(typed: str, remedy: str):
    refused = run(typed).exception
    assert isinstance(refused, InvalidRequest)
    assert refused.faults[0].remedy.startswith(remedy)


def test_a_refusal_for_the_content_halves_what_carries_several():
    assert "leaves again in two halves" in run("21617").output
    assert "halves" not in run("21211").output
    assert "leaves again in two halves" in run("Bounce Transient ContentRejected").output
