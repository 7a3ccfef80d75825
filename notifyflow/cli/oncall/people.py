"""The command that pages a person as a test."""

from typing import Annotated

import typer

import notifyflow
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import AsJson, By, Person
from notifyflow.core.insight.schemas import NotifiedDocument
from notifyflow.core.text import listed

app = typer.Typer()

PolicyName = Annotated[
    str | None,
    typer.Option(
        "--policy", help="The policy whose tiers and rounds it goes through.", show_default="of the first route to them"
    ),
]


@app.command("test-page")
def page_as_a_test(person: Person, policy: PolicyName = None, by: By = "", as_json: AsJson = False) -> None:
    """Page a person as a test, by all tiers, until they acknowledge it; nobody else is alerted."""
    with notifyflow.NotifyFlow.from_env() as flow:
        notified = flow.test_page(person, by=by, policy=policy)
        others = () if policy else flow.oncall.roster().directory.policies_for(person)[1:]
    screen.warn(f"Other routes page them by {listed(others)}, which --policy tests" if others else "")
    if as_json:
        screen.print_json(NotifiedDocument.of(notified).as_json())
    else:
        screen.out.print(f"{screen.plain(person)} is paged until they acknowledge the test {notified.incident_id}.")
