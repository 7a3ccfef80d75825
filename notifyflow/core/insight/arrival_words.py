"""Words for the requests that came in about an incident, and the reasons for its pages: a sentence for each kind of request."""

from collections.abc import Callable, Mapping
from datetime import datetime

from notifyflow.core.insight.timeline_words import HOW
from notifyflow.core.intake.arrivals import Arrival, Did, Why

_DID: Mapping[Did, str] = {
    Did.OPENED: "opened it",
    Did.RAISED: "raised its severity: everybody was paged anew",
    Did.ADDED: "added recipients, who were paged",
    Did.AMENDED: "changed its words; nobody was paged again",
    Did.MERGED: "merged; nobody was paged again",
    Did.ACKNOWLEDGED: "acknowledged it",
    Did.RESOLVED: "resolved it",
    Did.IGNORED: "ignored",
}
_WHY: Mapping[str, str] = {
    Why.ACKNOWLEDGED: "since it had been acknowledged",
    Why.RESOLVED: "since it had been resolved",
    Why.PAUSED: "while sending was paused",
    Why.NO_ROUTE: "but there is no directory, so that no route led to a recipient",
}


def sentence(arrival: Arrival, *, brief: Callable[[datetime], str]) -> str:
    """Return the effect of requests of one kind: ``through Alertmanager with prometheus, by default: opened it``."""
    ways = f"{HOW[arrival.integration]} with the key {arrival.api_key}"
    route = f", by {arrival.route}" if arrival.route else ""
    why = f", {_WHY[arrival.why]}" if arrival.why else ""
    left_out = f"; without {arrival.left_out}, who cannot be paged" if arrival.left_out else ""
    times = f" ({arrival.times} times, the last at {brief(arrival.last_at)})" if arrival.times > 1 else ""
    return f"{ways}{route}: {_DID[arrival.did]}{why}{left_out}{times}"
