"""The health of the whole system: the sweeper, the queue, the providers, the pauses, and how long pages take."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from notifyflow.channels.carriers import carriers_of
from notifyflow.core import text
from notifyflow.core.accounts.users import Role, Visitor
from notifyflow.core.delivery.model import DeferralReason
from notifyflow.core.limits.provider_health import Circuit, circuit, used
from notifyflow.core.metrics.charts import Charts, ProviderFigures, Window
from notifyflow.core.metrics.figures import Outcome
from notifyflow.core.metrics.vitals import COUNTED, ProviderVitals, Vitals
from notifyflow.errors import Fault
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.times import zone_of
from notifyflow.web.frame.visitors import Admit, form_of
from notifyflow.web.metrics.chart_drawing import HEIGHT, LEFT, RIGHT, WIDTH, Chart, chart, spell

if TYPE_CHECKING:
    from notifyflow.core.upkeep.foresight import Finding

_SWEPT_WITHIN = timedelta(seconds=30)
"""A longer time without a sweep means that no worker runs, or that none can."""
_DUE_WITHIN = timedelta(seconds=60)
_CIRCUITS = {
    Circuit.CLOSED: ("✓", "closed", "good"),
    Circuit.HALF_OPEN: ("?", "being tried", "waiting"),
    Circuit.OPEN: ("✕", "open", "bad"),
}
_WHY = {DeferralReason.CIRCUIT: "it does not answer", DeferralReason.SUSPENSION: "it refuses us"}


class Span(StrEnum):
    """How far back the figures go."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One sign of health: its name, its value in words, and whether it is good."""

    name: str
    value: str
    detail: str
    is_good: bool
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One provider on one channel, as the page shows it."""

    channel: str
    provider: str
    sign: str
    circuit: str
    tone: str
    why: str
    used: int
    limit: int
    made: int
    accepted: str
    in_doubt: int
    median: str
    slow: str


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the route of ``/health``."""
    routes = APIRouter(route_class=bulkhead.pages.route_class)
    carried = frozenset(name for name, channel in context.channels.items() if channel.providers)
    carriers = carriers_of(context.channels)

    @routes.get("/health")
    def show(
        visitor: Annotated[Visitor, Depends(Admit(context, Role.VIEWER))],
        request: Request,
        window: Annotated[Span, Query()] = Span.DAY,
    ) -> Response:
        stamp = respond.stamp(context, with_time=True)
        if same := respond.unchanged(request, visitor, stamp):
            return same
        zone = zone_of(request)
        vitals, figures = context.service.health.vitals(), context.service.figures(Window[window.name])
        broken, damaged = context.service.health.set_aside(), context.service.health.damaged()
        values = {
            "vitals": vitals,
            "signs": [
                *_signs(vitals),
                _broken({(each.machine, each.row_id) for each in broken} | {(each.table, each.row_id) for each in damaged}),
                _duty(context.service.foresight.findings(carried)),
                _policies(context.service.rehearsals.hazards, context.service.rehearsals.faults(carriers)),
            ],
            "providers": list(_rows(vitals, figures)),
            "set_aside": broken if visitor.namespaces is None else (),
            "damaged": damaged if visitor.namespaces is None else (),
            "may_release": visitor.namespaces is None and visitor.role.includes(Role.ADMIN),
            "counted": COUNTED,
            "window": window,
            "windows": list(Span),
            "charts": list(_charts(figures, vitals.now, zone)),
            "folded_at": figures.folded_at,
            "frame": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT},
        }
        return respond.page(request, visitor, "health.html", values, stamp=stamp)

    @routes.post("/health")
    def release(visitor: Annotated[Visitor, Depends(Admit(context, Role.ADMIN))], request: Request) -> Response:
        if visitor.namespaces is not None:
            raise HTTPException(403, "Damaged rows are released by those who see all namespaces; you see some of them.")
        context.service.health.release([form_of(request).get("release", "")])
        return respond.redirect("health#broken")

    return routes


def _charts(figures: Charts, now: datetime, zone: tzinfo) -> Iterator[Chart]:
    for id_, title, meaning, courses in (
        ("accepted", "Accepted", "From the creation of a page to its first acceptance by a provider", figures.accepted),
        ("delivered", "Delivered", "From the creation of a page to its first proven delivery", figures.delivered),
        ("human", "Acknowledged", "From the moment an incident pages to the first acknowledgement", figures.human),
    ):
        yield chart(id_, title, meaning, courses, figures.window, now, zone)


def _signs(vitals: Vitals) -> Iterator[Sign]:
    now, swept_at = vitals.now, vitals.swept_at
    yield Sign(
        name="Sweeper",
        value="never" if swept_at is None else f"{_ago(now - swept_at)} ago",
        detail="the last sweep, which finds what is due",
        is_good=swept_at is not None and now - swept_at <= _SWEPT_WITHIN,
    )
    oldest = min((each.oldest_due_at for each in vitals.queues), default=now)
    count = sum(each.count for each in vitals.queues)
    yield Sign(
        name="Queue",
        value=f"{text.quantity(count, 'message')}{' or more' if vitals.is_queue_cut else ''}",
        detail=f"due and not sent yet, the oldest for {_ago(now - oldest)}" if count else "due and not sent yet",
        is_good=now - oldest <= _DUE_WITHIN,
        link="messages?state=QUEUED",
    )
    yield Sign(
        name="People",
        value=f"{vitals.unreached:,}",
        detail="whom nothing reached in their newest round",
        is_good=not vitals.unreached,
        link="people",
    )
    open_ones = sum(circuit(each.health, now) is not Circuit.CLOSED for each in vitals.providers)
    yield Sign(
        name="Providers",
        value=f"{open_ones} of {len(vitals.providers)}",
        detail="left alone, since they do not answer or refuse us",
        is_good=not open_ones,
    )


def _broken(rows: Collection[tuple[str, str]]) -> Sign:
    return Sign(
        name="Rows",
        value=f"{len(rows):,}",
        detail="damaged: set aside, so that they hold up no other, or left out of lists",
        is_good=not rows,
        link="health#broken" if rows else "",
    )


def _duty(findings: "Iterable[Finding]") -> Sign:
    from notifyflow.core.upkeep.foresight import FindingKind  # loaded with the findings

    found = sum(each.kind is not FindingKind.SHORT_STEP for each in findings)
    return Sign(
        name="Duty",
        value=f"{found:,}",
        detail="schedules without anybody at some time within 30 days, and people on duty whom nothing reaches",
        is_good=not found,
        link="oncall",
    )


def _policies(hazards: Sequence[Fault], rehearsed: Sequence[Fault] | None) -> Sign:
    """Return what may keep a phone silent: first what the rehearsal found, in words."""
    found = [*(rehearsed or ()), *hazards]
    waits = "" if rehearsed is not None else "being rehearsed; "
    return Sign(
        name="Policies",
        value=f"{len(found):,}",
        detail=f"{found[0].where}: {found[0].what}" if found else f"{waits}behaviour of providers that would keep a phone silent",
        is_good=not found,
    )


def _rows(vitals: Vitals, figures: Charts) -> Iterator[Row]:
    calls = {(each.channel, each.provider): each for each in figures.providers}
    for each in vitals.providers:
        yield _row(each, calls.get((each.health.channel, each.health.provider)), vitals.now)


def _row(vitals: ProviderVitals, calls: ProviderFigures | None, now: datetime) -> Row:
    health = vitals.health
    sign, word, tone = _CIRCUITS[circuit(health, now)]
    waits = health.throttled_until is not None and health.throttled_until > now
    return Row(
        channel=health.channel,
        provider=health.provider,
        sign=sign,
        circuit=word,
        tone=tone,
        why=_WHY[health.circuit_opened_by] if health.circuit_opened_by else "it asked to wait" if waits else "",
        used=used(health, now),
        limit=vitals.limit,
        made=calls.made if calls else 0,
        accepted=f"{100 * calls.success:.0f} %" if calls and calls.success is not None else "–",
        in_doubt=calls.outcomes.get(Outcome.IN_DOUBT, 0) if calls else 0,
        median=spell(calls.took.p50_s if calls else None),
        slow=spell(calls.took.p95_s if calls else None),
    )


def _ago(span: timedelta) -> str:
    return text.duration(max(span, timedelta()))
