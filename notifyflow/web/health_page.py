"""The health of the whole system: the sweeper, the queue, the providers, pauses and silences, and how long pages take."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from notifyflow.channels.channel_models import models_of
from notifyflow.core import text
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.delivery.model import DeferralReason
from notifyflow.core.limits.provider_health import Circuit, circuit, used
from notifyflow.core.metrics.charts import Charts, ProviderChart, Window
from notifyflow.core.metrics.families import CallOutcome
from notifyflow.core.metrics.system_health import COUNTED, ProviderStatus, SystemHealth
from notifyflow.errors import Fault
from notifyflow.service.replica import ReplicaState
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import RequireRole, form_of
from notifyflow.web.frame.times import zone_of
from notifyflow.web.metrics.chart_drawing import HEIGHT, LEFT, RIGHT, WIDTH, Chart, chart, spell

if TYPE_CHECKING:
    from notifyflow.core.upkeep.duty_warnings import DutyWarning

_SWEPT_WITHIN = timedelta(seconds=30)
"""A longer time without a sweep means that no worker runs, or that none can."""
_DUE_WITHIN = timedelta(seconds=60)
_DAMAGE_AGE = timedelta(seconds=10)
"""How long damaged rows are shown as they were found, since the page is asked for every few seconds."""
_CIRCUITS = {
    Circuit.CLOSED: ("✓", "closed", "good"),
    Circuit.HALF_OPEN: ("?", "being tried", "waiting"),
    Circuit.OPEN: ("✕", "open", "bad"),
}
_WHY = {DeferralReason.CIRCUIT: "it does not answer", DeferralReason.SUSPENSION: "it refuses us"}


class ChartSpan(StrEnum):
    """How far back the charts go."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """One indicator of health: its name, its value in words, and whether it is good."""

    name: str
    value: str
    detail: str
    is_good: bool
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLine:
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
    models = models_of(context.channels)

    @routes.get("/health")
    def show(
        user: Annotated[CurrentUser, Depends(RequireRole(context, Role.VIEWER))],
        request: Request,
        window: Annotated[ChartSpan, Query()] = ChartSpan.DAY,
    ) -> Response:
        etag = respond.etag(context, with_time=True)
        if same := respond.unchanged(request, user, etag):
            return same
        zone = zone_of(request)
        system, charts = context.service.health.read(), context.service.lists.charts(Window[window.name])
        broken, damaged = context.service.health.set_aside(), context.service.health.damaged(no_older_than=_DAMAGE_AGE)
        values = {
            "system": system,
            "silences": context.service.silences.in_force(user.namespaces),
            "indicators": [
                *_indicators(system),
                *_replica(context.service.list_source.state(), system.now),
                _broken({(each.machine, each.row_id) for each in broken} | {(each.table, each.row_id) for each in damaged}),
                _duty(context.service.duty_warnings.read(carried)),
                _policies(context.service.rehearsals.hazards, context.service.rehearsals.faults(models)),
            ],
            "providers": list(_rows(system, charts)),
            "set_aside": broken if user.namespaces is None else (),
            "damaged": damaged if user.namespaces is None else (),
            "may_release": user.namespaces is None and user.role.includes(Role.ADMIN),
            "counted": COUNTED,
            "window": window,
            "windows": list(ChartSpan),
            "charts": list(_charts(charts, system.now, zone)),
            "rolled_up_at": charts.rolled_up_at,
            "frame": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT},
        }
        return respond.page(request, user, "health.html", values, etag=etag)

    @routes.post("/health")
    def release(user: Annotated[CurrentUser, Depends(RequireRole(context, Role.ADMIN))], request: Request) -> Response:
        if user.namespaces is not None:
            raise HTTPException(403, "Damaged rows are released by those who see all namespaces; you see some of them.")
        context.service.health.release([form_of(request).get("release", "")])
        return respond.redirect("health#broken")

    return routes


def _charts(charts: Charts, now: datetime, zone: tzinfo) -> Iterator[Chart]:
    for id_, title, meaning, courses in (
        ("accepted", "Accepted", "From the creation of a page to its first acceptance by a provider", charts.accepted),
        ("delivered", "Delivered", "From the creation of a page to its first proven delivery", charts.delivered),
        ("human", "Acknowledged", "From the moment an incident pages to the first acknowledgement", charts.human),
    ):
        yield chart(id_, title, meaning, courses, charts.window, now, zone)


def _indicators(system: SystemHealth) -> Iterator[Indicator]:
    now, swept_at = system.now, system.swept_at
    yield Indicator(
        name="Sweeper",
        value="never" if swept_at is None else f"{_ago(now - swept_at)} ago",
        detail="the last sweep, which finds what is due",
        is_good=swept_at is not None and now - swept_at <= _SWEPT_WITHIN,
    )
    oldest = min((each.oldest_due_at for each in system.queues), default=now)
    count = sum(each.count for each in system.queues)
    yield Indicator(
        name="Queue",
        value=f"{text.quantity(count, 'message')}{' or more' if system.is_queue_cut else ''}",
        detail=f"due and not sent yet, the oldest for {_ago(now - oldest)}" if count else "due and not sent yet",
        is_good=now - oldest <= _DUE_WITHIN,
        link="messages?state=QUEUED",
    )
    waiting = sum(system.postponed.values())
    yield Indicator(
        name="Storms",
        value=f"{sum(system.storms.values()):,}",
        detail=f"addresses to which so much goes that pages wait for others: {waiting:,} now",
        is_good=True,
    )
    yield Indicator(
        name="People",
        value=f"{system.unreached:,}",
        detail="whom nothing reached in their newest round",
        is_good=not system.unreached,
        link="people",
    )
    open_ones = sum(circuit(each.health, now) is not Circuit.CLOSED for each in system.providers)
    yield Indicator(
        name="Providers",
        value=f"{open_ones} of {len(system.providers)}",
        detail="left alone, since they do not answer or refuse us",
        is_good=not open_ones,
    )


def _replica(state: ReplicaState | None, now: datetime) -> Iterator[Indicator]:
    if state is None:
        return
    age = "not used" if state.reason or state.swept_at is None else f"{_ago(now - state.swept_at)} old"
    unused = f"{state.reason}; the primary is read instead"
    yield Indicator(
        name="Replica",
        value=age,
        detail=unused if state.reason else "the newest sweep that it shows; lists and charts are read from it",
        is_good=not state.reason,
    )


def _broken(rows: Collection[tuple[str, str]]) -> Indicator:
    return Indicator(
        name="Rows",
        value=f"{len(rows):,}",
        detail="damaged: set aside, so that they hold up no other, or left out of lists",
        is_good=not rows,
        link="health#broken" if rows else "",
    )


def _duty(findings: "Iterable[DutyWarning]") -> Indicator:
    from notifyflow.core.upkeep.duty_warnings import DutyWarningKind  # loaded with the findings

    found = sum(each.kind is not DutyWarningKind.SHORT_STEP for each in findings)
    return Indicator(
        name="Duty",
        value=f"{found:,}",
        detail="schedules without anybody at some time within 30 days, and people on duty whom nothing reaches",
        is_good=not found,
        link="oncall",
    )


def _policies(hazards: Sequence[Fault], rehearsed: Sequence[Fault] | None) -> Indicator:
    """Return why a phone may stay silent, the findings of the rehearsal first."""
    found = [*(rehearsed or ()), *hazards]
    waits = "" if rehearsed is not None else "being rehearsed; "
    return Indicator(
        name="Policies",
        value=f"{len(found):,}",
        detail=f"{found[0].where}: {found[0].what}" if found else f"{waits}behaviour of providers that would keep a phone silent",
        is_good=not found,
    )


def _rows(system: SystemHealth, charts: Charts) -> Iterator[ProviderLine]:
    calls = {(each.channel, each.provider): each for each in charts.providers}
    for each in system.providers:
        yield _row(each, calls.get((each.health.channel, each.health.provider)), system.now)


def _row(status: ProviderStatus, calls: ProviderChart | None, now: datetime) -> ProviderLine:
    health = status.health
    sign, word, tone = _CIRCUITS[circuit(health, now)]
    waits = health.throttled_until is not None and health.throttled_until > now
    return ProviderLine(
        channel=health.channel,
        provider=health.provider,
        sign=sign,
        circuit=word,
        tone=tone,
        why=_WHY[health.circuit_opened_by] if health.circuit_opened_by else "it asked to wait" if waits else "",
        used=used(health, now),
        limit=status.limit,
        made=calls.made if calls else 0,
        accepted=f"{100 * calls.success:.0f} %" if calls and calls.success is not None else "–",
        in_doubt=calls.outcomes.get(CallOutcome.IN_DOUBT, 0) if calls else 0,
        median=spell(calls.took.p50_s if calls else None),
        slow=spell(calls.took.p95_s if calls else None),
    )


def _ago(span: timedelta) -> str:
    return text.duration(max(span, timedelta()))
