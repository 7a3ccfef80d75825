"""The look of a message and of a state: one sign and one colour for each severity, and for each status update.

Words always say the severity, the update or the state, too: no reader depends on seeing a colour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from notifyflow.core.delivery.model import (
    AttemptState,
    EscalationState,
    IncidentState,
    NotificationState,
    Result,
    Severity,
    StepState,
)


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


class Tone(StrEnum):
    """Whether an entry or a state is good news."""

    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"
    PLAIN = "plain"


MARKS: Mapping[Tone, str] = {Tone.GOOD: "✓", Tone.BAD: "✕", Tone.UNSURE: "!", Tone.PLAIN: "·"}
"""The sign of an entry of a timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLook:
    """A sign, a word and a tone.

    Attributes:
        sign: One character.
        word: The state in a word or two.
    """

    sign: str
    word: str
    tone: Tone


INCIDENTS: Mapping[IncidentState, StateLook] = {
    IncidentState.OPEN: StateLook(sign="●", word="open", tone=Tone.BAD),
    IncidentState.ACKNOWLEDGED: StateLook(sign="◉", word="acknowledged", tone=Tone.UNSURE),
    IncidentState.RESOLVED: StateLook(sign="✓", word="resolved", tone=Tone.GOOD),
}
ESCALATIONS: Mapping[EscalationState, StateLook] = {
    EscalationState.ACTIVE: StateLook(sign="◐", word="being paged", tone=Tone.UNSURE),
    EscalationState.REACHED: StateLook(sign="✓", word="reached", tone=Tone.GOOD),
    EscalationState.EXHAUSTED: StateLook(sign="✕", word="not reached", tone=Tone.BAD),
    EscalationState.ACKNOWLEDGED: StateLook(sign="✓", word="acknowledged", tone=Tone.GOOD),
    EscalationState.CANCELLED: StateLook(sign="–", word="ended", tone=Tone.PLAIN),
}
NOTIFICATIONS: Mapping[NotificationState, StateLook] = {
    NotificationState.QUEUED: StateLook(sign="○", word="queued", tone=Tone.UNSURE),
    NotificationState.SENDING: StateLook(sign="◔", word="sending", tone=Tone.UNSURE),
    NotificationState.SENT: StateLook(sign="→", word="sent", tone=Tone.GOOD),
    NotificationState.DELIVERED: StateLook(sign="✓", word="delivered", tone=Tone.GOOD),
    NotificationState.FAILED: StateLook(sign="✕", word="failed", tone=Tone.BAD),
    NotificationState.CANCELLED: StateLook(sign="–", word="cancelled", tone=Tone.PLAIN),
}
ATTEMPTS: Mapping[AttemptState | Result, StateLook] = {
    AttemptState.NOT_SENT: StateLook(sign="–", word="not sent", tone=Tone.PLAIN),
    AttemptState.RUNNING: StateLook(sign="◔", word="running", tone=Tone.UNSURE),
    Result.IN_DOUBT: StateLook(sign="?", word="in doubt", tone=Tone.UNSURE),
    Result.ACCEPTED: StateLook(sign="→", word="accepted", tone=Tone.GOOD),
    Result.TEMPORARY_FAILURE: StateLook(sign="↻", word="failed for now", tone=Tone.UNSURE),
    Result.DELIVERED: StateLook(sign="✓", word="delivered", tone=Tone.GOOD),
    Result.PERMANENT_FAILURE: StateLook(sign="✕", word="failed for good", tone=Tone.BAD),
}
"""The looks of attempts: of the result, or of the state without one."""
STEPS: Mapping[StepState, StateLook] = {
    StepState.WAITING: StateLook(sign="○", word="waiting", tone=Tone.UNSURE),
    StepState.STARTED: StateLook(sign="◐", word="started", tone=Tone.UNSURE),
    StepState.SKIPPED: StateLook(sign="–", word="skipped", tone=Tone.PLAIN),
    StepState.STOPPED: StateLook(sign="–", word="stopped", tone=Tone.PLAIN),
}
CHAIN_OVER = StateLook(sign="✕", word="over", tone=Tone.BAD)
"""The end of a chain without an acknowledgement."""
