"""Words for the series of an incident whose alert comes and goes; pure."""

from notifyflow.core import text
from notifyflow.core.delivery.facts import IncidentFacts


def firings(incident: IncidentFacts) -> str:
    """Return that an incident continues earlier ones of its key, and how long they were open; empty for the first."""
    series = incident.series
    if series is None or series.first_id == incident.id:
        return ""
    goes_on = f"goes on where the one before stood; the earlier ones were open for {text.duration(series.open_for)}"
    return f"{goes_on}; flapping" if series.flapping_at is not None else goes_on
