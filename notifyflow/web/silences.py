"""Silences in the REST API and on the dashboard: a list, what starts one, and what ends one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.forms import read_duration
from notifyflow.core.insight import silence_words
from notifyflow.core.insight.schemas import SilenceDocument
from notifyflow.core.intake import request_schemas
from notifyflow.core.intake.requests import read_new_silence
from notifyflow.core.limits.silences import Author, AuthorKind, Silence, may_act, read_line, read_matchers
from notifyflow.core.local_times import read_time
from notifyflow.errors import Fault, InvalidInput
from notifyflow.service.silences import Silences
from notifyflow.web.delivery.api import ACT_REFUSALS, act_body
from notifyflow.web.frame import respond
from notifyflow.web.frame.auth import Require
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.openapi import SHOWN, refusals, request_body
from notifyflow.web.frame.permissions import Form, RequireRole, form_of
from notifyflow.web.frame.schemas import SilenceListResponse
from notifyflow.web.frame.times import zone_of


def api(context: Context) -> APIRouter:
    """Build the routes of ``/v1/silences``."""
    routes = APIRouter(prefix="/v1/silences", tags=["silences"])
    let_read, let_operate = Depends(Require(context, KeyScope.READ)), Depends(Require(context, KeyScope.OPERATE))

    @routes.get("", summary="List silences", responses={**SHOWN, **refusals(401, 403, 422, 429)})
    def list_silences(caller: Annotated[ApiKey, let_read]) -> SilenceListResponse:
        """Return the silences that act on the key's namespace, also those of the last seven days. Scope: `read`."""
        found = context.service.silences.all(caller.namespaces)
        damaged = [each.id for each in context.service.silences.damaged(caller.namespaces)]
        return SilenceListResponse(silences=_documents(context, caller, found), damaged=damaged)

    @routes.post(
        "",
        summary="Silence incidents",
        status_code=201,
        responses=ACT_REFUSALS,
        openapi_extra=request_body(request_schemas.NEW_SILENCE),
    )
    def start(caller: Annotated[ApiKey, let_operate], body: Annotated[str, act_body]) -> SilenceDocument:
        """Silence matching incidents: they page nobody until it ends, and then in one message. Scope: `operate`."""
        wanted = read_new_silence(body)
        started = context.service.silences.start(
            read_matchers(wanted.match),
            span=wanted.duration,
            why=wanted.reason,
            by=_author_of_key(caller, wanted.by),
            namespaces=wanted.namespaces or None,
            begins_at=wanted.begins_at,
        )
        return _documents(context, caller, [started])[0]

    @routes.post("/{silence_id}/end", summary="End a silence", responses=refusals(401, 403, 404, 422, 429))
    def end(caller: Annotated[ApiKey, let_operate], silence_id: str) -> SilenceDocument:
        """End a silence: what it held leaves now. Scope: `operate`."""
        context.service.silences.end(silence_id, by=_author_of_key(caller, ""))
        return SilenceDocument.of(context.service.silences.find(silence_id))

    return routes


def _documents(context: Context, caller: ApiKey, silences: Sequence[Silence]) -> list[SilenceDocument]:
    return SilenceDocument.of_all(silences, context.service.silences.warnings(silences, caller.namespaces))


def _author_of_key(caller: ApiKey, by: str) -> Author:
    return Author(kind=AuthorKind.KEY, id=caller.id, name=by or caller.name, namespaces=caller.namespaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceLine:
    """A silence, as the page shows it.

    Attributes:
        held: How many unresolved incidents it holds that the user sees.
        may_end: Whether the user may end it.
        warnings: Why it may cover nothing.
    """

    silence: Silence
    held: int
    may_end: bool
    warnings: Sequence[str]


def dashboard(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/silences``: their list, and what starts and ends one."""
    routes = APIRouter(prefix="/silences", route_class=bulkhead.pages.route_class)
    let_respond = Depends(RequireRole(context, Role.RESPONDER))

    @routes.api_route("", methods=["GET", "HEAD"])
    def show(user: Annotated[CurrentUser, Depends(RequireRole(context, Role.VIEWER))], request: Request) -> Response:
        return _page(context, user, request)

    @routes.post("/start")
    def start(user: Annotated[CurrentUser, let_respond], request: Request) -> Response:
        try:
            _start(context.service.silences, user, form_of(request), zone_of(request))
        except InvalidInput as error:
            return _page(context, user, request, faults=error.faults)
        return respond.redirect("../silences")

    @routes.post("/{silence_id}/end")
    def end(user: Annotated[CurrentUser, let_respond], silence_id: str) -> Response:
        context.service.silences.end(silence_id, by=_author_of_user(user))
        return respond.redirect("../../silences")

    return routes


def _start(silences: Silences, user: CurrentUser, form: Form, zone: tzinfo) -> None:
    """Start the silence of a form; raise ``InvalidInput``."""
    here, now = zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC"), silences.now()
    silences.start(
        read_line(form.get("match", "")),
        span=read_duration(form.get("duration", "")) or timedelta(),
        why=form.get("why", ""),
        by=_author_of_user(user),
        namespaces=[form["namespace"]] if "namespace" in form else None,
        begins_at=read_time(form["from"], here, where="from", after=now) if form.get("from") else None,
    )


def _author_of_user(user: CurrentUser) -> Author:
    return Author(kind=AuthorKind.USER, id=user.user_id, name=user.name, namespaces=user.namespaces)


def _page(context: Context, user: CurrentUser, request: Request, *, faults: Sequence[Fault] = ()) -> Response:
    etag = respond.etag(context, with_time=True)
    if same := respond.unchanged(request, user, etag):
        return same
    now, typed = context.service.now(), form_of(request) if faults else {}
    lines = list(_lines(context, user))
    values = {
        "in_force": [each for each in lines if each.silence.is_in_force(now)],
        "planned": [each for each in lines if each.silence.begins_at > now and each.silence.until > now],
        "over": [each for each in lines if each.silence.until <= now],
        "damaged": list(_damaged(context, user)),
        "damaged_words": silence_words.damaged,
        "may_act": user.may(Role.RESPONDER),
        "faults": faults,
        "typed": typed,
        "silence_like": typed.get("match", ""),
        "silence_namespace": typed.get("namespace"),
    }
    return respond.page(request, user, "silences.html", values, etag=etag, status=422 if faults else 200)


def _lines(context: Context, user: CurrentUser) -> Iterator[SilenceLine]:
    return _with_held(context.service.silences, user, context.service.silences.all(user.namespaces))


def _damaged(context: Context, user: CurrentUser) -> Iterator[SilenceLine]:
    return _with_held(context.service.silences, user, context.service.silences.damaged(user.namespaces))


def _with_held(silences: Silences, user: CurrentUser, found: Sequence[Silence]) -> Iterator[SilenceLine]:
    held = silences.held_by([each.id for each in found], user.namespaces)
    warnings = silences.warnings(found, user.namespaces)
    for each in found:
        may_end = user.may(Role.RESPONDER) and may_act(each.namespaces, user.namespaces)
        yield SilenceLine(silence=each, held=held.get(each.id, 0), may_end=may_end, warnings=warnings.get(each.id, ()))
