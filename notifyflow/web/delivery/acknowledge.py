"""The magic link: a GET shows the incident and changes nothing; its button acknowledges it, unless it has risen meanwhile.

The link of a bundle leads to ``bundle_page``. Mail scanners open every link, and some run its scripts: therefore a GET never
acts, and no page submits itself.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from notifyflow.core import text
from notifyflow.core.delivery import series
from notifyflow.core.delivery.model import ON_THEIR_WAY, Contact, EscalationState, IncidentState, Kind, NotificationState, Via
from notifyflow.core.delivery.policy import Acknowledgement
from notifyflow.core.insight.timeline_words import HOW
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.messages import looks
from notifyflow.core.messages.content import compose
from notifyflow.core.messages.links import LinkClaim, Subject
from notifyflow.core.messages.looks import Look
from notifyflow.core.references import ById, ByKey
from notifyflow.web.delivery import bundle_page
from notifyflow.web.frame import pages
from notifyflow.web.frame.body import Body
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context

_read_body = Body(64 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownResult:
    """The text that the page shows in place of its button, and its look."""

    headline: str
    detail: str
    look: Look = looks.ACKNOWLEDGED


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/a/{token}``."""
    routes = APIRouter(route_class=bulkhead.links.route_class)

    @routes.api_route("/a/{token}", methods=["GET", "HEAD"])
    def show(token: str) -> Response:
        claim = context.service.links.check(token)
        if claim.subject is Subject.BUNDLE:
            return HTMLResponse(bundle_page.render(context, claim))
        return HTMLResponse(_page(context, _status(context, claim), claim.recipient_id))

    @routes.post("/a/{token}")
    def acknowledge(token: str, body: Annotated[bytes, Depends(_read_body)]) -> Response:
        claim, form = context.service.links.check(token), parse_qs(body.decode("utf-8", "replace"))
        if claim.subject is Subject.BUNDLE:
            context.service.links.acknowledge(claim, bundle_page.chosen(form.get(bundle_page.CHOICE, ())))
            return RedirectResponse(token, 303)  # relative: a proxy's prefix stays
        status = _status(context, claim)
        _viewer(status, claim.recipient_id)
        shown = bundle_page.SEVERITIES.get(form.get("shown", [""])[-1])
        context.service.acknowledge(ById(status.facts.id), by=claim.recipient_id, via=Via.LINK, shown=shown)
        return RedirectResponse(token, 303)

    return routes


def _status(context: Context, claim: LinkClaim) -> IncidentStatus:
    """Return the incident of a link; if that is resolved and has opened again, the one that its acknowledgement covers."""
    status = context.service.status(ById(claim.subject_id))
    if status.facts.state is not IncidentState.RESOLVED:
        return status
    newest = context.service.status(ByKey(status.facts.key, status.facts.namespace))
    is_theirs = any(each.facts.recipient_id == claim.recipient_id for each in newest.escalations)
    return newest if is_theirs and series.covers(status.facts, newest.facts) else status


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A person who opens the page: a recipient of the incident, or an operations recipient told that it did not reach someone.

    Attributes:
        contact: The person.
        mine: The person's newest round; None for operations.
    """

    contact: Contact
    mine: EscalationStatus | None


def _page(context: Context, status: IncidentStatus, recipient_id: str) -> str:
    viewer = _viewer(status, recipient_id)
    facts = viewer.mine.facts if viewer.mine else None
    policy = facts.policy if facts else status.facts.policy
    started_at = facts.started_at if facts else status.facts.opened_at
    content = compose(
        context.service.content_for(status, viewer.contact),
        viewer.contact,
        severity=status.facts.severity,
        now=started_at,
        round_started_at=started_at,
        due_at=started_at,
        delayed_after=policy.delayed_after,
        link=None,
        kind=Kind.PAGE,
        notice=context.notice,
        others=_others(status, recipient_id),
        is_ours=status.facts.is_operations,
    )
    outcome = _outcome(context, status, viewer)
    values = {
        "content": content,
        "outcome": outcome,
        "tone": (outcome.look if outcome else content.look).name,
        "is_each": viewer.mine is not None and policy.acknowledgement is Acknowledgement.EACH,
        "dashboard": f"../incidents/{status.facts.id}",
    }
    return pages.render("incident.html", values)


def _viewer(status: IncidentStatus, recipient_id: str) -> Viewer:
    rounds = [each for each in status.escalations if each.facts.recipient_id == recipient_id]
    if rounds:
        mine = max(rounds, key=lambda each: each.facts.round)
        return Viewer(contact=mine.contact, mine=mine)
    if status.operations_key is None:
        raise HTTPException(404, "You are no longer a recipient of this incident.")
    return Viewer(contact=Contact(recipient_id=recipient_id, name=recipient_id, addresses={}), mine=None)


def _outcome(context: Context, status: IncidentStatus, viewer: Viewer) -> ShownResult | None:
    facts, contact = status.facts, viewer.contact
    if facts.state is IncidentState.RESOLVED:
        by = f" by {_name(status, facts.resolved_by)}" if facts.resolved_by else ""
        return ShownResult(
            headline="This incident is resolved.",
            detail=f"Resolved{by}{_at(facts.resolved_at, contact)}. There is nothing left to do.",
            look=looks.RESOLVED,
        )
    if facts.state is IncidentState.ACKNOWLEDGED:
        is_mine = facts.acknowledged_by == contact.recipient_id
        who = "You acknowledged it." if is_mine else f"{_name(status, facts.acknowledged_by)} acknowledged it."
        how = _how(context, facts.acknowledged_via)
        acknowledged = " ".join(filter(None, ("Acknowledged", how))) + _at(facts.acknowledged_at, contact)
        return ShownResult(headline=who, detail=f"{acknowledged}. No more pages are sent{_stopped(status, contact)}.")
    if viewer.mine and viewer.mine.facts.state is EscalationState.ACKNOWLEDGED:
        return ShownResult(headline="You acknowledged it.", detail="You get no more pages for it; others still do.")
    return None


def _how(context: Context, via: str) -> str:
    """Return how an incident was acknowledged, in words; empty if unknown."""
    channel = context.channels.get(via)
    return HOW.get(via) or (channel.capabilities.how if channel else "")


def _stopped(status: IncidentStatus, viewer: Contact) -> str:
    """Return how many pages were cancelled, and how many had been sent to other recipients."""
    rows = [
        (each.contact.recipient_id, row.state)
        for each in status.escalations
        if each.facts.is_current
        for row in each.notifications
        if row.kind is Kind.PAGE
    ]
    cancelled = sum(state is NotificationState.CANCELLED for _, state in rows)
    sent = sum(recipient_id != viewer.recipient_id and state in ON_THEIR_WAY for recipient_id, state in rows)
    parts = [f"{cancelled} {'page was' if cancelled == 1 else 'pages were'} cancelled"] if cancelled else []
    parts += [f"{sent} {'was already on its' if sent == 1 else 'were already on their'} way to others"] if sent else []
    return f": {', '.join(parts)}" if parts else ""


def _others(status: IncidentStatus, recipient_id: str) -> list[str]:
    contacts = {each.contact.recipient_id: each.contact for each in status.escalations if each.contact.addresses}
    return [contact.name for each, contact in contacts.items() if each != recipient_id]


def _name(status: IncidentStatus, recipient_id: str) -> str:
    names = {each.contact.recipient_id: each.contact.name for each in status.escalations}
    return names.get(recipient_id) or recipient_id or "Someone"


def _at(at: datetime | None, contact: Contact) -> str:
    return "" if at is None else f" on {text.moment(at, ZoneInfo(contact.timezone))}"
