"""The look of a message: one sign and one colour for each severity, and for what became of an incident.

The severity or the update is always said in words, too: no reader depends on seeing a colour.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from notifyflow.core.model import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A sign and a colour.

    Attributes:
        name: The severity in lower case, ``acknowledged`` or ``resolved``.
        sign: One emoji.
        colour: The colour on a light ground, as ``#rrggbb``.
        dark: The colour on a dark ground.
    """

    name: str
    sign: str
    colour: str
    dark: str


SEVERITIES: Mapping[Severity, Look] = {
    Severity.CRITICAL: Look(name="critical", sign="🔴", colour="#c4152f", dark="#ff6b7d"),
    Severity.ERROR: Look(name="error", sign="🟠", colour="#c2410c", dark="#ff9457"),
    Severity.WARNING: Look(name="warning", sign="🟡", colour="#8a6100", dark="#f2c14e"),
    Severity.INFO: Look(name="info", sign="🔵", colour="#1d5fbf", dark="#74aefc"),
}
ACKNOWLEDGED = Look(name="acknowledged", sign="👀", colour="#5b6472", dark="#9aa4b2")
RESOLVED = Look(name="resolved", sign="✅", colour="#14713d", dark="#5fd38d")
