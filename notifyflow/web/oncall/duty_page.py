"""On call: who is on duty, until when, who is next, and the calendar of the next weeks; responders change it for some time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from notifyflow.core import text
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.hours import LATEST
from notifyflow.core.local_times import read_time
from notifyflow.core.oncall.feeds import Feed, address
from notifyflow.core.oncall.overrides import Swap, Wish, find_schedule
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.core.oncall.schedules import DutyReason, Override, Schedule, Shift
from notifyflow.errors import Fault, FeedNotFound, InvalidInput, OverrideNotFound
from notifyflow.service.oncall.duty import OnCall
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import Form, RequireRole, form_of
from notifyflow.web.oncall.duty_calendar import CalendarDays, Day, Name, joined, span_at, weeks

_MOST_CALENDARS = 6
"""How many calendars the page shows at once."""
_VALID_FOR = {f"{days} days": timedelta(days=days) for days in (30, 90, 365)}
"""How long a feed may be valid; one that names nothing of this, for ever."""
Chosen = Annotated[str, Query(max_length=255)]
_WHY = {
    DutyReason.LAYER: "",
    DutyReason.CALENDAR: "by its calendar",
    DutyReason.OVERRIDE: "by an override",
    DutyReason.LAST_KNOWN: "as last known from its calendar",
    DutyReason.NOBODY: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonOnDuty:
    """Somebody on duty: their id, which is empty if the directory does not know them, and their name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The duty of a schedule at some time, as the page shows it.

    Attributes:
        people: Who is on duty; empty for nobody.
        begins: When it begins, in the schedule's zone.
        ends: When it ends; empty if that is after the calendar.
    """

    people: tuple[PersonOnDuty, ...]
    why: str
    begins: str
    ends: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An override, as the page shows it.

    Attributes:
        people: Who is on duty.
        instead_of: Whose duty it is otherwise; empty if that is everybody on duty.
        begins: When it begins, in the schedule's zone.
        ends: When it ends.
    """

    id: str
    people: str
    instead_of: str
    begins: str
    ends: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOption:
    """A shift that can change places with another one, as the page offers it.

    Attributes:
        at: An instant in it.
        name: Who is on duty, and from when on.
    """

    at: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """A schedule, as the page shows it.

    Attributes:
        name: Its name, without ``@``.
        zone: Its time zone.
        may_have_gaps: Whether it is meant that nobody is on duty at some times.
        now: The duty now.
        next: The duty after it; None if nothing changes in the time that the calendar shows.
        weeks: The days of its calendar, by week; empty if only the others' are shown.
        overrides: The overrides that have not ended, by their beginning.
        choices: The shifts that its calendar shows and that have not ended.
    """

    name: str
    zone: str
    may_have_gaps: bool
    now: Held
    next: Held | None
    weeks: tuple[tuple[Day, ...], ...]
    overrides: tuple[Change, ...]
    choices: tuple[SwapOption, ...]


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/oncall``."""
    routes = APIRouter(route_class=bulkhead.pages.route_class)

    @routes.get("/oncall")
    def show(
        user: Annotated[CurrentUser, Depends(RequireRole(context, Role.VIEWER))], request: Request, schedule: Chosen = ""
    ) -> Response:
        return _page(context, user, request, schedule)

    @routes.post("/oncall")
    def act(
        user: Annotated[CurrentUser, Depends(RequireRole(context, Role.RESPONDER))], request: Request, schedule: Chosen = ""
    ) -> Response:
        _insist_on_all(user)
        try:
            _change(context.service.oncall, user, form_of(request))
        except InvalidInput as error:
            return _page(context, user, request, schedule, faults=error.faults, status=422)
        except OverrideNotFound:
            gone = Fault("override", "it has ended, or was cancelled before", "Look at what is left of it")
            return _page(context, user, request, schedule, faults=(gone,), status=409)
        return respond.redirect(f"oncall?{urlencode({'schedule': schedule})}" if schedule else "oncall")

    _add_feeds(routes, context)
    return routes


def _add_feeds(routes: APIRouter, context: Context) -> None:
    @routes.post("/oncall/feeds")
    def change_feeds(user: Annotated[CurrentUser, Depends(RequireRole(context, Role.RESPONDER))], request: Request) -> Response:
        _insist_on_all(user)
        form = form_of(request)
        try:
            if feed_id := form.get("revoke"):
                context.feeds.revoke(feed_id, user_id=user.user_id)
                return respond.redirect("../oncall")
            feed, token = context.feeds.make(
                schedule=form.get("schedule", ""),
                recipient_id=form.get("recipient", "").strip(),
                by=user.by,
                valid_for=_VALID_FOR.get(form.get("valid", "")),
            )
        except FeedNotFound:
            raise HTTPException(404, "There is no such feed, or it was revoked before.") from None
        except InvalidInput as error:
            return _page(context, user, request, "", faults=error.faults, status=422)
        values = {"of": _of(feed), "address": address(context.site.public_url, token)}
        return respond.page(request, user, "oncall_feed.html", values)


def _insist_on_all(user: CurrentUser) -> None:
    """Refuse a user who does not see all namespaces."""
    if user.namespaces is not None:
        raise HTTPException(403, "Who is on duty is changed by those who see all namespaces; you see some of them.")


def _of(feed: Feed) -> str:
    return feed.recipient_id or f"{MARK}{feed.schedule}"


def _change(oncall: OnCall, user: CurrentUser, form: Form) -> None:
    """Cancel an override, let two shifts change places, or make an override: of the whole duty, or of that of one person.

    Raises:
        InvalidInput: When it cannot be done.
        OverrideNotFound: When there is no such override to cancel.
    """
    if override_id := form.get("cancel"):
        oncall.cancel(override_id, by=user.by)
        return
    name, now = form.get("schedule", ""), oncall.now()
    zone = ZoneInfo(find_schedule(oncall.roster(), name).timezone)
    if "first" in form:
        first, second = (read_time(form.get(each, ""), zone, where=each, after=now) for each in ("first", "second"))
        oncall.change(Swap(schedule=name, first=first, second=second, by=user.by))
        return
    begins_at = read_time(form["from"], zone, where="from", after=now) if form.get("from") else None
    oncall.change(
        Wish(
            schedules=(name,),
            people=tuple(filter(None, (form.get("who", "").strip(),))),
            instead_of=form.get("instead_of", "").strip(),
            begins_at=begins_at,
            ends_at=read_time(form.get("until", ""), zone, where="until", after=begins_at or now),
            by=user.by,
        )
    )


def _page(
    context: Context, user: CurrentUser, request: Request, chosen: str, *, faults: Sequence[Fault] = (), status: int = 200
) -> Response:
    if user.namespaces is not None:
        return respond.page(request, user, "oncall.html", {"is_seen": False})
    etag = respond.etag(context, with_time=True)
    if same := respond.unchanged(request, user, etag):
        return same
    roster, now = context.service.rosters.current(), context.access.now()
    people = roster.directory.recipients
    if chosen and chosen not in roster.directory.schedules:
        raise HTTPException(404, "There is no schedule of this name.")
    drawn = [chosen] if chosen else sorted(roster.directory.schedules)[:_MOST_CALENDARS]
    values = {
        "is_seen": True,
        "chosen": chosen,
        "rotas": list(_rotas(roster, now, drawn)),
        "people": sorted((each.id, each.name or each.id) for each in people.values()),
        "feeds": [(each, _of(each)) for each in context.feeds.all()] if user.may(Role.RESPONDER) else [],
        "may_act": user.may(Role.RESPONDER),
        "spans": list(_VALID_FOR),
        "now": now,
        "me": user.recipient_id if user.recipient_id in people else "",
        "faults": faults,
        "findings": context.service.duty_warnings.read(_carried(context)),
        "typed": form_of(request) if faults else {},
    }
    return respond.page(request, user, "oncall.html", values, etag=etag, status=status)


def _carried(context: Context) -> frozenset[str]:
    return frozenset(name for name, channel in context.channels.items() if channel.providers)


def _rotas(roster: Roster, now: datetime, drawn: Sequence[str]) -> Iterator[Rota]:
    for name, schedule in sorted(roster.directory.schedules.items()):
        yield rota(roster, schedule, now, is_drawn=name in drawn)


def rota(roster: Roster, schedule: Schedule, now: datetime, *, is_drawn: bool) -> Rota:
    """Return a schedule as the page shows it."""
    zone = ZoneInfo(schedule.timezone)
    span = span_at(now, zone)
    pieces = list(roster.shifts(schedule, begin=span.begins_at if is_drawn else now, end=span.ends_at))
    shifts = list(joined(pieces))
    current, *later = (each for each in shifts if each.ends_at > now)
    return Rota(
        name=schedule.name,
        zone=schedule.timezone,
        may_have_gaps=schedule.may_have_gaps,
        now=_held(roster, current, zone, span.ends_at),
        next=_held(roster, later[0], zone, span.ends_at) if later else None,
        weeks=weeks(shifts, span, roster.name_of) if is_drawn else (),
        overrides=tuple(_changes(roster, schedule, now)) if is_drawn else (),
        choices=tuple(_choices(roster, pieces, span, now)) if is_drawn else (),
    )


def _choices(roster: Roster, shifts: Iterable[Shift], span: CalendarDays, now: datetime) -> Iterator[SwapOption]:
    for each in shifts:
        if each.people and now < each.ends_at < LATEST:
            begin = max(each.begins_at, span.begins_at)
            people = text.listed([roster.name_of(who) for who in each.people])
            yield SwapOption(at=begin.isoformat(), name=f"{people} from {text.instant(begin.astimezone(span.zone), now=now)}")


def _changes(roster: Roster, schedule: Schedule, now: datetime) -> Iterator[Change]:
    zone = ZoneInfo(schedule.timezone)
    left = [each for each in roster.overrides if each.schedule == schedule.name and each.ends_at > now]
    for each in sorted(left, key=lambda override: (override.begins_at, override.id)):
        yield _written(each, zone, roster.name_of)


def _written(override: Override, zone: ZoneInfo, name_of: Name) -> Change:
    return Change(
        id=override.id,
        people=text.listed([name_of(each) for each in override.people]),
        instead_of=name_of(override.instead_of) if override.instead_of else "",
        begins=text.moment(override.begins_at, zone),
        ends=text.moment(override.ends_at, zone),
        by=name_of(override.made_by),
    )


def _held(roster: Roster, shift: Shift, zone: ZoneInfo, shown_until: datetime) -> Held:
    return Held(
        people=tuple(
            PersonOnDuty(id=each if each in roster.directory.recipients else "", name=roster.name_of(each))
            for each in shift.people
        ),
        why=_WHY[shift.why],
        begins=text.moment(shift.begins_at, zone),
        ends=text.moment(shift.ends_at, zone) if shift.ends_at < shown_until else "",
    )
