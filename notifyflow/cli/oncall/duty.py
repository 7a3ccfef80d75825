"""The commands about who is on duty: show, next, take, cover, swap, cancel."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import completion, screen
from notifyflow.cli.frame.options import AsJson, By, as_options, flag
from notifyflow.cli.oncall import feeds
from notifyflow.core import text
from notifyflow.core.hours import LATEST
from notifyflow.core.local_times import read_time
from notifyflow.core.oncall.duty_documents import OverrideDocument, duty_document
from notifyflow.core.oncall.duty_report import Duty
from notifyflow.core.oncall.overrides import Swap, Wish, find_schedule
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.core.oncall.schedules import DutyReason, Override, Shift
from notifyflow.core.text import listed

if TYPE_CHECKING:
    from notifyflow.service.oncall.duty import OnCall

app = typer.Typer(name="oncall", help="Show who is on duty, and change it for some time.", no_args_is_help=True)
app.add_typer(feeds.app)

_MOST_WEEKS = 104
_WEEKS_OF_ONE = 4
_TIME = "as in 18:00, 2026-12-24, '2026-12-24 18:00'; in the schedule's zone unless it has an offset"

AnySchedule = Annotated[
    str | None,
    typer.Argument(
        metavar="[SCHEDULE]", help="The schedule, as in @primary.", show_default="all", autocompletion=completion.schedules
    ),
]
OneSchedule = Annotated[
    str,
    typer.Argument(
        metavar="SCHEDULE", help="The schedule, as in @primary.", show_default=False, autocompletion=completion.schedules
    ),
]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help=f"From when on, {_TIME}.", show_default="now")]
WithOpen = Annotated[bool, flag("--with-open", help="Page them for open incidents, too, whose chain has paged those on duty.")]
Until = Annotated[
    str, typer.Option("--until", metavar="TIME", help="Until when; a date alone means its end.", show_default=False)
]


@app.command()
def show(
    schedule: AnySchedule = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help=f"At another time, {_TIME}.", show_default="now")] = None,
    weeks: Annotated[
        int | None,
        typer.Option("--weeks", min=0, max=_MOST_WEEKS, help="Also the shifts of these weeks.", show_default="4 of one schedule"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who is on duty, until when, who is next, and the overrides."""
    wanted = weeks if weeks is not None else _WEEKS_OF_ONE if schedule else 0
    with _oncall() as oncall:
        found = _duties(oncall, schedule, at, weeks=wanted)
        _warn_of_file(oncall)
    if as_json:
        screen.print_json([duty_document(each) for each in found])
        return
    _show_duties(found)
    for each in found:
        if each.shifts:
            _show_shifts(each)
    _show_overrides([(each, _zone(duty.schedule.timezone)) for duty in found for each in duty.overrides])


@app.command("next")
def next_(schedule: AnySchedule = None, as_json: AsJson = False) -> None:
    """Show who is on duty next, and from when on."""
    with _oncall() as oncall:
        found = _duties(oncall, schedule, None, weeks=0)
        _warn_of_file(oncall)
    if as_json:
        screen.print_json([duty_document(each) for each in found])
        return
    table = Table("Schedule", "Next", "From", box=None, pad_edge=False)
    for each in found:
        zone = _zone(each.schedule.timezone)
        begins = "" if each.next is None else _time(each.next.begins_at, zone)
        table.add_row(_name(each), _people(each, each.next) if each.next else Text("nobody else", style="dim"), begins)
    _print(table, found)


@app.command()
def take(
    schedule: OneSchedule,
    until: Until,
    begin: From = None,
    who: Annotated[
        list[str] | None,
        typer.Option(
            "--who",
            metavar="PERSON",
            help="Who takes it; can be repeated.",
            show_default="--by",
            autocompletion=completion.people,
        ),
    ] = None,
    with_open: WithOpen = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Take the duty of a schedule for some time."""
    with _oncall() as oncall:
        zone = ZoneInfo(find_schedule(oncall.roster(), schedule).timezone)
        begins_at, ends_at = _period(oncall, begin, until, zone)
        wish = Wish(schedules=(schedule,), people=tuple(who or (by,)), begins_at=begins_at, ends_at=ends_at, by=by)
        with as_options("until", "by"):
            made = oncall.change(wish, with_open=with_open)
    _show_made(made, zone, as_json=as_json)


@app.command()
def cover(
    person: Annotated[
        str,
        typer.Argument(
            metavar="PERSON", help="Who is away, by recipient id.", show_default=False, autocompletion=completion.people
        ),
    ],
    substitute: Annotated[
        list[str],
        typer.Option(
            "--with",
            metavar="PERSON",
            help="Who covers; can be repeated.",
            show_default=False,
            autocompletion=completion.people,
        ),
    ],
    until: Until,
    begin: From = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(help="Only in this schedule; can be repeated.", show_default="in all", autocompletion=completion.schedules),
    ] = None,
    with_open: WithOpen = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Cover for somebody who is away for some time, whenever they would be on duty."""
    with _oncall() as oncall:
        roster = oncall.roster()
        known = roster.directory.recipients.get(person)
        name = find_schedule(roster, schedule[0]).timezone if schedule else (known and known.timezone) or "UTC"
        zone = ZoneInfo(name)
        begins_at, ends_at = _period(oncall, begin, until, zone)
        wish = Wish(
            schedules=tuple(schedule or ()),
            people=tuple(substitute),
            instead_of=person,
            begins_at=begins_at,
            ends_at=ends_at,
            by=by,
        )
        with as_options("until", "by"):
            made = oncall.change(wish, with_open=with_open)
    _show_made(made, zone, as_json=as_json)


@app.command()
def swap(
    schedule: OneSchedule,
    first: Annotated[str, typer.Argument(metavar="TIME", help="A time in one shift.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="TIME", help="A time in the other shift.", show_default=False)],
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Let the people of two shifts change places."""
    with _oncall() as oncall:
        zone, now = ZoneInfo(find_schedule(oncall.roster(), schedule).timezone), oncall.now()
        one, other = (read_time(each, zone, where=where, after=now) for where, each in (("first", first), ("second", second)))
        with as_options("by"):
            made = oncall.change(Swap(schedule=schedule, first=one, second=other, by=by))
    _show_made(made, zone, as_json=as_json)


@app.command()
def cancel(
    override: Annotated[str, typer.Argument(metavar="ID", help="The id, as show prints it.", show_default=False)],
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Cancel an override: from now on the duty is as if it had never been made."""
    with _oncall() as oncall:
        cancelled = oncall.cancel(override, by=by)
    if as_json:
        screen.print_json(OverrideDocument.of(cancelled))
        return
    screen.out.print(f"Cancelled: the duty of {MARK}{cancelled.schedule} is as before.", markup=False, soft_wrap=True)


@contextmanager
def _oncall() -> "Iterator[OnCall]":
    with notifyflow.NotifyFlow.from_env() as flow:
        yield flow.oncall


def _warn_of_file(oncall: "OnCall") -> None:
    if why := oncall.why_file_is_unused:
        screen.warn(f"The file of NOTIFYFLOW_DIRECTORY {why}.")


def _duties(oncall: "OnCall", name: str | None, at: str | None, *, weeks: int) -> Sequence[Duty]:
    now = oncall.now()
    if name is None:
        instant = now if at is None else _read(at, "UTC", "--at", now)
        return oncall.duties(instant, weeks=weeks)
    schedule = find_schedule(oncall.roster(), name)
    found = oncall.duty(name, now if at is None else _read(at, schedule.timezone, "--at", now), weeks=weeks)
    return () if found is None else (found,)


def _read(written: str, zone: str, where: str, now: datetime) -> datetime:
    return read_time(written, ZoneInfo(zone), where=where, after=now)


def _period(oncall: "OnCall", begin: str | None, until: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    now = oncall.now()
    begins_at = now if begin is None else read_time(begin, zone, where="--from", after=now)
    return begins_at, read_time(until, zone, where="--until", after=max(begins_at, now), is_end=True)


def _show_duties(found: Sequence[Duty]) -> None:
    table = Table("Schedule", "On duty", "Until", "Then", box=None, pad_edge=False)
    for each in found:
        zone = _zone(each.schedule.timezone)
        until = "" if each.next is None else _time(each.next.begins_at, zone)
        table.add_row(_name(each), _people(each, each.on_duty), until, _people(each, each.next) if each.next else "")
    _print(table, found)


def _show_shifts(duty: Duty) -> None:
    zone = _zone(duty.schedule.timezone)
    table = Table("From", "Until", "On duty", "", box=None, pad_edge=False)
    for each in duty.shifts:
        ends = "" if each.ends_at >= LATEST else _time(each.ends_at, zone)
        table.add_row(
            _time(max(each.begins_at, duty.at), zone),
            ends,
            _people(duty, each),
            "override" if each.why is DutyReason.OVERRIDE else "",
        )
    screen.out.print()
    screen.out.print(f"{MARK}{screen.plain(duty.schedule.name)}, in {duty.schedule.timezone}:", markup=False)
    screen.out.print(table)


def _show_overrides(overrides: Sequence[tuple[Override, tzinfo]]) -> None:
    if overrides:
        screen.out.print("\nOverrides:")
    for each, zone in overrides:
        _show_override(each, zone)


def _show_made(made: Sequence[Override], zone: tzinfo, *, as_json: bool) -> None:
    if as_json:
        screen.print_json([OverrideDocument.of(each) for each in made])
        return
    for each in made:
        _show_override(each, zone)


def _show_override(each: Override, zone: tzinfo) -> None:
    """Print an override on one line, with its id at the end."""
    people = listed(each.people) + (f" for {each.instead_of}" if each.instead_of else "")
    period = f"from {_time(each.begins_at, zone)} until {_time(each.ends_at, zone)}"
    line = f"{MARK}{each.schedule}: {people}, {period}, by {each.made_by} ({each.id})"
    screen.out.print(screen.plain(line), markup=False, soft_wrap=True)


def _print(table: Table, found: Sequence[Duty]) -> None:
    screen.out.print(table if found else "The directory has no schedules.")


def _name(duty: Duty) -> Text:
    return Text(screen.plain(MARK + duty.schedule.name))


def _people(duty: Duty, shift: Shift) -> Text:
    if shift.people:
        how = " (as last known)" if shift.why is DutyReason.LAST_KNOWN else ""
        return Text(screen.plain(listed(shift.people) + how))
    return Text("nobody", style="dim" if duty.schedule.may_have_gaps else "bold red")


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name)


def _time(at: datetime, zone: tzinfo) -> str:
    return text.instant(at.astimezone(zone), now=None)
