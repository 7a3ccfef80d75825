"""The part of the REST API about who is on duty: it is the same for all namespaces, so only keys of all of them reach it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.hours import EARLIEST, LATEST
from notifyflow.core.intake import request_schemas
from notifyflow.core.intake.requests import read_duty_change
from notifyflow.core.oncall.duty_documents import DutyDocument, OverrideDocument, duty_document
from notifyflow.core.oncall.overrides import Wish
from notifyflow.errors import InvalidRequest
from notifyflow.web.delivery.api import ACT_REFUSALS, IdempotencyKey, act_body, idempotency_faults
from notifyflow.web.frame.auth import Require
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.openapi import SHOWN, refusals, request_body
from notifyflow.web.frame.schemas import DutyListResponse

_MOST_WEEKS = 12


class DutyListing(BaseModel):
    """The part of a rota to return."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = Field(None, description="The instant to look at; by default, now.")
    weeks: int = Field(0, ge=0, le=_MOST_WEEKS, description="How many weeks of shifts to list.")

    def instant(self, context: Context) -> datetime:
        """Return the instant to look at."""
        return min(max(self.at or context.service.now(), EARLIEST), LATEST)


def router(context: Context) -> APIRouter:
    """Build the routes of ``/v1/oncall``."""
    routes = APIRouter(prefix="/v1/oncall", tags=["on call"])
    _add_reads(routes, context)
    _add_changes(routes, context)
    return routes


def _add_reads(routes: APIRouter, context: Context) -> None:
    let_read = Depends(Require(context, KeyScope.READ))

    @routes.get("", summary="Show who is on duty", responses={**SHOWN, **refusals(401, 403, 404, 422, 429)})
    def list_duties(caller: Annotated[ApiKey, let_read], listing: Annotated[DutyListing, Query()]) -> DutyListResponse:
        """Return who is on duty in each schedule, until when, and who is next, to a key of all namespaces. Scope: `read`."""
        _insist_on_all(caller)
        found = context.service.oncall.duties(listing.instant(context), weeks=listing.weeks)
        return DutyListResponse(schedules=[duty_document(each) for each in found])

    @routes.get(
        "/{schedule}", summary="Show who is on duty in a schedule", responses={**SHOWN, **refusals(401, 403, 404, 422, 429)}
    )
    def show_duty(caller: Annotated[ApiKey, let_read], schedule: str, listing: Annotated[DutyListing, Query()]) -> DutyDocument:
        """Return who is on duty in one schedule, with or without `@`, to a key of all namespaces. Scope: `read`."""
        _insist_on_all(caller)
        found = context.service.oncall.duty(schedule, listing.instant(context), weeks=listing.weeks)
        if found is None:
            raise HTTPException(404, "The directory has no schedule with this name.")
        return duty_document(found)


def _add_changes(routes: APIRouter, context: Context) -> None:
    let_operate = Depends(Require(context, KeyScope.OPERATE))

    @routes.post(
        "/{schedule}/overrides",
        summary="Change who is on duty for some time",
        status_code=201,
        responses=ACT_REFUSALS,
        openapi_extra=request_body(request_schemas.DUTY_CHANGE),
    )
    def add_override(
        caller: Annotated[ApiKey, let_operate],
        schedule: str,
        body: Annotated[str, act_body],
        idempotency_key: IdempotencyKey = None,
    ) -> OverrideDocument:
        """Put somebody on duty, for everybody or for one person; open incidents stay as they are. Scope: `operate`."""
        _insist_on_all(caller)
        wanted = read_duty_change(body)
        if faults := tuple(idempotency_faults(idempotency_key)):
            raise InvalidRequest(faults)
        if context.service.oncall.roster().schedule(schedule) is None:
            raise HTTPException(404, "The directory has no schedule with this name.")
        (made,) = context.service.oncall.change(
            Wish(
                schedules=(schedule,),
                people=wanted.people,
                instead_of=wanted.instead_of,
                begins_at=wanted.begins_at,
                ends_at=wanted.ends_at,
                by=wanted.by or caller.name,
            ),
            with_open=wanted.with_open,
            once=f"{caller.id} {idempotency_key}" if idempotency_key else "",
        )
        return OverrideDocument.of(made)

    @routes.delete(
        "/overrides/{override_id}",
        summary="Cancel a change of a duty",
        responses=refusals(401, 403, 404, 422, 429),
    )
    def cancel_override(caller: Annotated[ApiKey, let_operate], override_id: str) -> OverrideDocument:
        """Cancel a change that is in force or to come: from now on the duty is as if it had never been made. Scope: `operate`."""
        _insist_on_all(caller)
        return OverrideDocument.of(context.service.oncall.cancel(override_id, by=caller.name))


def _insist_on_all(caller: ApiKey) -> None:
    if caller.only is not None:
        raise HTTPException(
            404, "Schedules belong to all namespaces, which this key does not reach; use one with the namespace *."
        )
