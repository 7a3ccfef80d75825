"""What operations was told in the end: notices alone ring no phone, and rounds of failures are 15 minutes apart."""

from datetime import datetime, timedelta
from itertools import pairwise

from notifyflow.core.model import EscalationState, Severity
from notifyflow.core.views import EscalationStatus, IncidentStatus
from tests.simulation.database import SimulatedDatabase
from tests.simulation.world import World, require

_QUIET = timedelta(minutes=15)
_PHONES = {"sms", "voice"}
_LINKS = "SELECT at FROM notifyflow_critical WHERE operations_incident_id = ?"


def check(world: World, database: SimulatedDatabase, status: IncidentStatus) -> None:
    """Check one operations incident when everything has settled; while it is held nothing of it is sent."""
    if status.is_held:
        return
    failed = [datetime.fromisoformat(at) for (at,) in database.look(_LINKS, status.facts.id)]
    rounds = sorted(status.escalations, key=lambda each: each.facts.started_at)
    for each in rounds:
        _check_round(each, failed)
    _check_distances(status, rounds, timedelta(seconds=world.widest_skew_s))


def _check_round(each: EscalationStatus, failed: list[datetime]) -> None:
    what = f"operations: round {each.facts.id[-4:]}"
    if each.facts.severity is Severity.WARNING:
        phones = _PHONES & {row.channel for row in each.notifications}
        require(not phones, f"{what} is a WARNING, and rings {sorted(phones)}")
    else:
        require(any(at <= each.facts.started_at for at in failed), f"{what} tells of notices alone, and is {each.facts.severity}")


def _check_distances(status: IncidentStatus, rounds: list[EscalationStatus], skew: timedelta) -> None:
    """Require that rounds of failures are 15 minutes apart, and that no WARNING ends one that still runs."""
    ended = {(line.row_id, line.at) for line in status.transitions if _is_cut_short(line.source, line.event)}
    for who in {each.facts.recipient_id for each in rounds}:
        own = [each.facts for each in rounds if each.facts.recipient_id == who]
        first = [each for each in own if each.severity is Severity.CRITICAL and each.repetition == 1]
        for one, other in pairwise(first):
            apart = other.started_at - one.started_at
            require(apart >= _QUIET - skew, f"operations: rounds {one.id[-4:]} and {other.id[-4:]} are {apart} apart")
        for one, other in pairwise(own):
            is_cut = (one.id, other.started_at) in ended and one.severity is Severity.CRITICAL
            is_less = other.severity is Severity.WARNING
            require(not (is_cut and is_less), f"operations: a WARNING takes the place of round {one.id[-4:]}")


def _is_cut_short(source: str, event: str) -> bool:
    return (source, event) == (EscalationState.ACTIVE, "replaced")
