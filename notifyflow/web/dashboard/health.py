"""The health of the whole system: the sweeper, the queue, the providers, the pauses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from notifyflow.core.model import DeferralReason
from notifyflow.core.provider_health import Circuit, circuit, used
from notifyflow.core.users import Role, Visitor
from notifyflow.core.vitals import CALLS, COUNTED, Calls, ProviderVitals, Vitals
from notifyflow.core.wording import text
from notifyflow.web.context import Context
from notifyflow.web.dashboard import respond
from notifyflow.web.dashboard.visitors import Admit

_SWEPT_WITHIN = timedelta(seconds=30)
"""A longer time without a sweep means that no worker runs, or that none can."""
_DUE_WITHIN = timedelta(seconds=60)
_CIRCUITS = {
    Circuit.CLOSED: ("✓", "closed", "good"),
    Circuit.HALF_OPEN: ("?", "being tried", "waiting"),
    Circuit.OPEN: ("✕", "open", "bad"),
}
_WHY = {DeferralReason.CIRCUIT: "it does not answer", DeferralReason.SUSPENSION: "it refuses us"}


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
    calls: Calls | None
    accepted: str
    median: str
    slow: str


def router(context: Context) -> APIRouter:
    """Build the route of ``/health``."""
    routes = APIRouter()

    @routes.get("/health")
    def show(visitor: Annotated[Visitor, Depends(Admit(context, Role.VIEWER))], request: Request) -> Response:
        vitals = context.service.health.vitals()
        values = {
            "vitals": vitals,
            "signs": list(_signs(vitals)),
            "providers": [_row(each, vitals.now) for each in vitals.providers],
            "counted": COUNTED,
            "calls": CALLS,
        }
        return respond.page(request, visitor, "health.html", values)

    return routes


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


def _row(vitals: ProviderVitals, now: datetime) -> Row:
    health, calls = vitals.health, vitals.calls
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
        calls=calls,
        accepted=f"{100 * calls.accepted / calls.count:.0f} %" if calls else "",
        median=_brief(calls.median) if calls else "",
        slow=_brief(calls.slow) if calls else "",
    )


def _ago(span: timedelta) -> str:
    return text.duration(max(span, timedelta()))


def _brief(span: timedelta) -> str:
    """Return the time that a call took: ``45 ms``, ``1.2 s``."""
    seconds = span.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
