"""People: whether they can be reached, and tests that show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from notifyflow.channels.base import Channel
from notifyflow.core import text
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import IN_PROGRESS, EscalationState, IncidentState, NotificationState, Result, Via
from notifyflow.core.insight.people import MOST_UNREACHED, ROUNDS, Person, Reachability, WayRecord, is_failing, reachability
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.messages.evidence import VOUCHERS
from notifyflow.core.references import ById
from notifyflow.errors import InvalidIncident, RecipientUnknown, TooManyTests
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import RequireRole, form_of
from notifyflow.web.frame.times import zone_of

_ON_A_PAGE = 20
_DAY = timedelta(days=1)
_WATCHED_FOR = timedelta(minutes=10)
"""How long a page asks often what became of a test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The last proven delivery on a channel: when it was sent, how long ago, and who vouches for it."""

    at: datetime
    age: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChannel:
    """One channel of a person, as a page shows it.

    Attributes:
        address: The address; personal, and masked by the template.
        providers: The providers that may still send there.
        verdict: ``proven``, ``sent``, ``untried`` or ``fails``.
        summary: The same in a few words.
        refused: How many attempts were refused for good.
        is_stopped: Whether they texted STOP.
    """

    channel: str
    address: str
    providers: tuple[str, ...]
    verdict: str
    summary: str
    proven: Proof | None
    last: NotificationFacts | None
    refused: int
    is_stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """A person, as a page shows them."""

    id: str
    name: str
    reachability: Reachability
    why: str
    ways: tuple[ShownChannel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTestResult:
    """The outcome of a test on one channel."""

    channel: str
    state: NotificationState
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A test, as a page shows it."""

    incident_id: str
    title: str
    at: datetime
    outcomes: tuple[ChannelTestResult, ...]
    answer: str
    is_moving: bool
    is_over: bool


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/people``."""
    routes = APIRouter(route_class=bulkhead.pages.route_class)
    let_view, let_respond = Depends(RequireRole(context, Role.VIEWER)), Depends(RequireRole(context, Role.RESPONDER))

    @routes.get("/people")
    def list_people(
        user: Annotated[CurrentUser, let_view], request: Request, after: Annotated[str, Query(max_length=255)] = ""
    ) -> Response:
        return _list(context, user, request, after)

    @routes.get("/people/{recipient_id:path}")
    def show(user: Annotated[CurrentUser, let_view], request: Request, recipient_id: str) -> Response:
        return _page(context, user, request, recipient_id)

    @routes.post("/people/{recipient_id:path}")
    def act(user: Annotated[CurrentUser, let_respond], request: Request, recipient_id: str) -> Response:
        form = form_of(request)
        if "end" in form:
            return _end(context, user, request, recipient_id, form["end"])
        return _test(context, user, request, recipient_id, form)

    return routes


def _test(context: Context, user: CurrentUser, request: Request, recipient_id: str, form: Mapping[str, str]) -> Response:
    """Send a test, or page the user themselves as an incident does under a policy of their routes."""
    people, policy = context.service.people, form.get("whole")
    if policy is not None and user.recipient_id != recipient_id:
        fault = "Only they can page themselves as an incident would. You can send a test."
        return _page(context, user, request, recipient_id, fault=fault, status=403)
    if policy is not None and policy not in people.policies_for(recipient_id):
        fault = "No route pages you by this policy any more; nothing was sent."
        return _page(context, user, request, recipient_id, fault=fault, status=409)
    chosen = list(filter(None, (form.get("test"),)))
    try:
        people.test(recipient_id, chosen, user.namespaces, sender=user.name, by=user.by, policy=policy)
    except TooManyTests as error:
        return _page(context, user, request, recipient_id, fault=_sentence(error), status=429)
    except (RecipientUnknown, InvalidIncident) as error:
        return _page(context, user, request, recipient_id, fault=_sentence(error), status=422)
    return _back(recipient_id)


def _list(context: Context, user: CurrentUser, request: Request, after: str) -> Response:
    etag = respond.etag(context, with_time=True, is_list=True)
    if same := respond.unchanged(request, user, etag):
        return same
    page = context.service.people.page(user.namespaces, after=after, limit=_ON_A_PAGE)
    now = context.access.now()
    values = {
        "people": [shown(each, context.channels, now) for each in page.people],
        "unreached": [shown(each, context.channels, now) for each in page.unreached],
        "never_paged": [shown(each, context.channels, now) for each in page.never_paged],
        "most_unreached": MOST_UNREACHED,
        "never_paged_count": page.never_paged_count,
        "is_first": not after,
        "next": page.after and f"?{urlencode({'after': page.after})}",
        "rounds": ROUNDS,
    }
    return respond.page(request, user, "people.html", values, etag=etag)


def _page(
    context: Context, user: CurrentUser, request: Request, recipient_id: str, *, fault: str = "", status: int = 200
) -> Response:
    etag = respond.etag(context, with_time=True)
    if same := respond.unchanged(request, user, etag):
        return same
    people, now, zone = context.service.people, context.access.now(), zone_of(request)
    person = people.find(recipient_id, user.namespaces)
    if person is None:
        raise HTTPException(404, "Nobody is known by this id.")
    last = people.last_test(recipient_id, user.namespaces)
    test = None if last is None else tested(last, now, zone)
    values = {
        "person": shown(person, context.channels, now),
        "test": test,
        "live": respond.live(is_moving=test is not None and test.is_moving),
        "may_test": user.may(Role.RESPONDER),
        "is_me": user.recipient_id == recipient_id,
        "policies": people.policies_for(recipient_id),
        "fault": fault,
        "rounds": ROUNDS,
    }
    return respond.page(request, user, "person.html", values, etag=etag, status=status)


def _end(context: Context, user: CurrentUser, request: Request, recipient_id: str, incident_id: str) -> Response:
    """End a test of this person; it may have ended already."""
    last = context.service.people.last_test(recipient_id, user.namespaces)
    if last is None or last.facts.id != incident_id:
        fault = "There is a newer test, or none any more; nothing was ended."
        return _page(context, user, request, recipient_id, fault=fault, status=409)
    context.service.resolve(ById(incident_id), by=user.by, via=Via.DASHBOARD)
    return _back(recipient_id)


def _back(recipient_id: str) -> Response:
    return respond.redirect(quote(recipient_id, safe=""))


def _sentence(error: Exception) -> str:
    said = str(error)
    return said[:1].upper() + said[1:]


def shown(person: Person, channels: Mapping[str, Channel], now: datetime) -> ShownPerson:
    """Return a person as pages show them."""
    ways = tuple(_way(person, channel, address, channels, now) for channel, address in person.contact.addresses.items())
    usable = frozenset(way.channel for way in ways if way.providers)
    found = reachability(person, usable)
    contact = person.contact
    return ShownPerson(
        id=contact.recipient_id, name=contact.name, reachability=found, why=_why(person, found, usable, now), ways=ways
    )


def _why(person: Person, found: Reachability, usable: frozenset[str], now: datetime) -> str:
    record = person.record
    if found is Reachability.PROVEN:
        return ""
    if not usable:
        return "no address can be used"
    if record is None:
        return "never paged"
    if record.last_round is EscalationState.EXHAUSTED:
        return f"nothing reached them {_age(now - record.last_round_at)} ago"
    return "the last page failed on every channel" if found is Reachability.UNREACHABLE else "no delivery is proven"


def _way(person: Person, channel: str, address: str, channels: Mapping[str, Channel], now: datetime) -> ShownChannel:
    record, known = person.way(channel), channels.get(channel)
    texting = known is not None and known.capabilities.has_text_replies
    configured = tuple(known.providers) if known else ()
    providers = tuple(each.name for each in configured if not (texting and each.sender in person.opted_out_of))
    proof = _proof(record, now)
    verdict, summary = _verdict(record, proof, now)
    if not providers:
        verdict, summary = "fails", "they texted STOP" if configured else "no provider is configured"
    return ShownChannel(
        channel=channel,
        address=address,
        providers=providers,
        verdict=verdict,
        summary=summary,
        proven=proof,
        last=record.last,
        refused=record.refused,
        is_stopped=len(providers) < len(configured),
    )


def _verdict(record: WayRecord, proof: Proof | None, now: datetime) -> tuple[str, str]:
    if record.last is None:
        return "untried", "untried"
    age = _age(now - record.last.created_at)
    if is_failing(record):
        return "fails", f"failed {age} ago"
    return ("proven", f"proven {proof.age} ago") if proof else ("sent", f"sent {age} ago, unproven")


def _proof(record: WayRecord, now: datetime) -> Proof | None:
    for attempt in reversed(record.proven.attempts if record.proven else ()):
        if attempt.result is Result.DELIVERED and attempt.evidence:
            return Proof(at=attempt.started_at, age=_age(now - attempt.started_at), by=VOUCHERS[attempt.evidence])
    return None


def _age(span: timedelta) -> str:
    return text.duration(max(span, timedelta())) if span < 2 * _DAY else f"{span.days} d"


def tested(status: IncidentStatus, now: datetime, zone: tzinfo) -> Test:
    """Return a test as the page shows it."""
    facts = status.facts
    rows = [row for escalation in status.escalations for row in escalation.notifications if row.tier is not None]
    return Test(
        incident_id=facts.id,
        title=status.content.title,
        at=facts.opened_at,
        outcomes=tuple(ChannelTestResult(channel=row.channel, state=row.state, said=_said(row)) for row in rows),
        answer=_answer(status, zone),
        is_moving=now - facts.opened_at < _WATCHED_FOR and facts.state is IncidentState.OPEN and any(map(_may_move, rows)),
        is_over=facts.state is IncidentState.RESOLVED,
    )


def _answer(status: IncidentStatus, zone: tzinfo) -> str:
    facts, own = status.facts, {each.facts.recipient_id for each in status.escalations}
    if facts.acknowledged_at is None:
        return "The test is over." if facts.state is IncidentState.RESOLVED else ""
    who = "They" if facts.acknowledged_by in own else facts.acknowledged_by
    return f"{who} acknowledged it on {text.moment(facts.acknowledged_at, zone)}."


def _may_move(row: NotificationFacts) -> bool:
    return row.state in IN_PROGRESS or (row.state is NotificationState.SENT and _is_awaited(row))


def _is_awaited(row: NotificationFacts) -> bool:
    return bool(row.attempts) and row.attempts[-1].receipt_due_at is not None


def _said(row: NotificationFacts) -> str:
    """Return the result of a test's page, in plain words."""
    last = row.attempts[-1] if row.attempts else None
    match row.state:
        case NotificationState.QUEUED if last and last.reason:
            return f"failed for now ({last.reason}), and is tried again"
        case NotificationState.QUEUED | NotificationState.SENDING:
            return "on its way"
        case NotificationState.SENT if last:
            more = "the receipt is awaited" if _is_awaited(row) else "this channel reports no more"
            return f"{last.provider} accepted it; {more}"
        case NotificationState.DELIVERED if last and last.evidence:
            return f"{VOUCHERS[last.evidence]} says so"
        case NotificationState.CANCELLED:
            return "tried no more, since somebody acknowledged before"
        case _:
            return row.reason
