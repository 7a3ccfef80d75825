"""The commands about feeds of calendars: add, list, revoke."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import completion, screen
from notifyflow.cli.frame.options import AsJson, By, span_option
from notifyflow.core import text
from notifyflow.core.oncall.duty_documents import FeedDocument
from notifyflow.core.oncall.feeds import Feed, address
from notifyflow.core.oncall.schedule_forms import MARK

if TYPE_CHECKING:
    from notifyflow import NotifyFlow

app = typer.Typer(name="feed", help="Manage the secret addresses of calendars that show who is on duty.", no_args_is_help=True)


@app.command()
def add(
    of: Annotated[
        str,
        typer.Argument(
            metavar="@SCHEDULE|PERSON",
            help="A schedule, as in @primary, or a recipient's id.",
            show_default=False,
            autocompletion=completion.schedules_and_people,
        ),
    ],
    expires: Annotated[timedelta | None, span_option(help="How long it is valid, as in 90d.", default="forever")] = None,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Make a feed of a schedule or of a person, and print its address, which is shown this once."""
    is_schedule = of.startswith(MARK)
    with _flow() as flow:
        feed, token = flow.feeds().make(
            schedule=of if is_schedule else "", recipient_id="" if is_schedule else of, by=by, valid_for=expires
        )
        shown = address(notifyflow.Settings().public_url, token)
    if as_json:
        screen.print_json({**FeedDocument.of(feed).model_dump(mode="json"), "address": shown})
        return
    screen.out.print(shown, markup=False, highlight=False, soft_wrap=True)
    screen.err.print("It is a secret, and is shown this once; `notifyflow oncall feed revoke` makes it void.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all feeds, without their addresses."""
    with _flow() as flow:
        feeds = flow.feeds()
        found, now = feeds.all(), feeds.now()
    if as_json:
        screen.print_json([FeedDocument.of(each) for each in found])
        return
    table = Table("Feed", "Of", "Made", "By", "Valid", box=None, pad_edge=False)
    for each in found:
        made, who = text.day(each.made_at, now=None), Text(screen.plain(each.made_by))
        table.add_row(each.id, Text(screen.plain(_of(each))), made, who, _validity(each, now))
    screen.out.print(table if found else "There are no feeds.")


@app.command()
def revoke(feed: Annotated[str, typer.Argument(metavar="ID", help="The id, as list prints it.", show_default=False)]) -> None:
    """Revoke a feed: its address shows nothing any more."""
    with _flow() as flow:
        flow.feeds().revoke(feed)
    screen.out.print("The feed is revoked.")


@contextmanager
def _flow() -> "Iterator[NotifyFlow]":
    with notifyflow.NotifyFlow.from_env() as flow:
        yield flow


def _validity(feed: Feed, now: datetime) -> str:
    if feed.expires_at is None:
        return "forever"
    return f"{'expired on' if feed.is_over(now) else 'until'} {text.day(feed.expires_at, now=None)}"


def _of(feed: Feed) -> str:
    return feed.recipient_id or f"{MARK}{feed.schedule}"
