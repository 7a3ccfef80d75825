"""Words for the requests that came in about an incident, and the reasons for its pages: a sentence for each kind of request."""

from collections.abc import Callable, Mapping
from datetime import datetime

from notifyflow.core.insight.timeline_words import HOW
from notifyflow.core.intake.inbound_log import InboundEffect, InboundEntry, InboundReason

_DID: Mapping[InboundEffect, str] = {
    InboundEffect.OPENED: "opened it",
    InboundEffect.RAISED: "raised its severity: everybody was paged anew",
    InboundEffect.ADDED: "added recipients, who were paged",
    InboundEffect.AMENDED: "changed its words; nobody was paged again",
    InboundEffect.MERGED: "merged; nobody was paged again",
    InboundEffect.ACKNOWLEDGED: "acknowledged it",
    InboundEffect.RESOLVED: "resolved it",
    InboundEffect.IGNORED: "ignored",
}
_WHY: Mapping[str, str] = {
    InboundReason.ACKNOWLEDGED: "since it had been acknowledged",
    InboundReason.RESOLVED: "since it had been resolved",
    InboundReason.PAUSED: "while sending was paused",
    InboundReason.NO_ROUTE: "but there is no directory, so that no route led to a recipient",
}


def sentence(entry: InboundEntry, *, brief: Callable[[datetime], str]) -> str:
    """Return the effect of requests of one kind: ``through Alertmanager with prometheus, by default: opened it``."""
    ways = f"{HOW[entry.integration]} with the key {entry.api_key}"
    route = f", by {entry.route}" if entry.route else ""
    why = f", {_WHY[entry.why]}" if entry.why else ""
    left_out = f"; without {entry.left_out}, who cannot be paged" if entry.left_out else ""
    times = f" ({entry.times} times, the last at {brief(entry.last_at)})" if entry.times > 1 else ""
    return f"{ways}{route}: {_DID[entry.did]}{why}{left_out}{times}"
