"""Health checks, without a key: whether the process is alive, and whether notifyflow can deliver."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from notifyflow.core.insight.schemas import FaultDocument
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.openapi import refusals

Checks = list[Literal["database", "schema", "sweeping", "quarantine"]]
_DEGRADING = "quarantine"
"""A degraded system delivers new incidents, and none that were quarantined when the database was adopted."""


class Readiness(BaseModel):
    """Whether notifyflow can deliver."""

    is_ready: bool = Field(description="Whether new incidents are delivered.")
    is_degraded: bool = Field(
        description="Whether incidents are quarantined since the database was adopted; nothing is sent for them."
    )
    faults: list[FaultDocument]


def router(context: Context) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", summary="Check that the process is alive", response_class=PlainTextResponse)
    async def live() -> str:
        """Return 200 while the process runs, even when the database or broker is down."""
        return "ok\n"

    @routes.get(
        "/readyz",
        summary="Check that notifyflow can deliver",
        responses={**refusals(422), 503: {"model": Readiness, "description": "It cannot; the faults say why"}},
    )
    def ready(
        response: Response,
        exclude: Annotated[Checks | None, Query(description="Checks to leave out.")] = None,
    ) -> Readiness:
        """Check that the database responds, has this version's schema, and is swept; and that no incident is quarantined."""
        faults = [fault for fault in context.service.find_faults() if fault.where not in (exclude or ())]
        is_ready = all(fault.where == _DEGRADING for fault in faults)
        response.status_code = 200 if is_ready else 503
        is_degraded = any(fault.where == _DEGRADING for fault in faults)
        return Readiness(is_ready=is_ready, is_degraded=is_degraded, faults=[FaultDocument.of(fault) for fault in faults])

    return routes
