"""Whether this process lives, and whether notifyflow can deliver; asked by whoever watches it, without a key."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from notifyflow.web.openapi import refusals
from notifyflow.web.problems import FaultShape
from notifyflow.web.services import Services

Checks = list[Literal["database", "schema", "sweeping"]]


class Readiness(BaseModel):
    """Whether notifyflow can deliver."""

    is_ready: bool
    faults: list[FaultShape]


def router(services: Services) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", summary="Tell whether the process lives", response_class=PlainTextResponse)
    async def live() -> str:
        """It does, whatever else is away."""
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
        """Whether the database answers, has this version's schema, and somebody sweeps it."""
        faults = [fault for fault in services.api.find_what_is_wrong() if fault.where not in (exclude or ())]
        response.status_code = 503 if faults else 200
        return Readiness(is_ready=not faults, faults=[FaultShape.of(fault) for fault in faults])

    return routes
