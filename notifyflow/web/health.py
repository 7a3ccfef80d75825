"""Whether this process lives, and whether notifyflow can deliver; asked by whoever watches it, without a key."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from notifyflow.core.schemas import FaultDocument
from notifyflow.web.context import Context
from notifyflow.web.openapi import refusals

Checks = list[Literal["database", "schema", "sweeping", "quarantine"]]
_DEGRADING = "quarantine"
"""What is new is delivered, and what was unfinished when the database was adopted is not."""


class Readiness(BaseModel):
    """Whether notifyflow can deliver."""

    is_ready: bool = Field(description="Whether what comes now is delivered.")
    is_degraded: bool = Field(
        description="Whether incidents are quarantined since the database was adopted: nothing of them is sent."
    )
    faults: list[FaultDocument]


def router(context: Context) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", summary="Tell whether the process lives", response_class=PlainTextResponse)
    async def live() -> str:
        """Return 200 while the process runs, even when the database or broker is down."""
        return "ok\n"

    @routes.get(
        "/readyz",
        summary="Tell whether notifyflow can deliver",
        responses={**refusals(422), 503: {"model": Readiness, "description": "It cannot; the faults say why"}},
    )
    def ready(
        response: Response,
        exclude: Annotated[Checks | None, Query(description="What is not to count.")] = None,
    ) -> Readiness:
        """Whether the database answers, has this version's schema, and is swept; and whether incidents are quarantined."""
        faults = [fault for fault in context.service.find_faults() if fault.where not in (exclude or ())]
        is_ready = all(fault.where == _DEGRADING for fault in faults)
        response.status_code = 200 if is_ready else 503
        is_degraded = any(fault.where == _DEGRADING for fault in faults)
        return Readiness(is_ready=is_ready, is_degraded=is_degraded, faults=[FaultDocument.of(fault) for fault in faults])

    return routes
