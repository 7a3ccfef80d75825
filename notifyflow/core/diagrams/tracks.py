"""The meaning of each move of a machine for a reader of its diagram, and the moves of the simple view.

Data: the tables of ``machines`` decide what a row does; these only say how it is drawn. A move without a line here is a late
correction of an earlier record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState, StepState


class View(StrEnum):
    """The detail of a diagram: an overview to read in ten seconds, or every move with its events."""

    SIMPLE = "simple"
    FULL = "full"


class Track(StrEnum):
    """The meaning of a move for a reader; LATE: an earlier record turns out to be wrong."""

    USUAL = "usual"
    RETRY = "retry"
    FAILURE = "failure"
    STOP = "stop"
    LATE = "late"


class Hue(StrEnum):
    """How a state is coloured."""

    WAITING = "waiting"
    GOOD = "good"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn move that is more than a correction.

    Attributes:
        words: When it is made, in a word or two.
        is_simple: Whether the simple view shows it.
    """

    source: str
    target: str
    track: Track
    words: str = ""
    is_simple: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """How the diagram of a machine is laid out.

    Attributes:
        spine: The states of the usual way, in order.
        sides: The other states, with the first and the last place on the spine that they stand below, counted from 0.
        hues: The colour of each state.
        lines: The moves that are no corrections.
    """

    spine: tuple[str, ...]
    sides: Mapping[str, tuple[int, int]]
    hues: Mapping[str, Hue]
    lines: tuple[Line, ...]

    def line(self, source: str, target: str) -> Line:
        """Return the line of a move; a correction has one without words."""
        found = (line for line in self.lines if (line.source, line.target) == (source, target))
        return next(found, Line(source, target, Track.LATE, is_simple=False))


PALETTE: Mapping[str, str] = {
    "sheet": "#ffffff",
    "ink": "#14171c",
    "soft": "#5b6472",
    "line": "#e2e5ea",
    "critical": "#c4152f",
    "warning": "#8a6100",
    "good": "#14713d",
}
"""The colours of diagrams: those of the pages on white, by the names of their variables."""
COLOURS: Mapping[Hue, str] = {
    Hue.WAITING: PALETTE["warning"],
    Hue.GOOD: PALETTE["good"],
    Hue.BAD: PALETTE["critical"],
    Hue.QUIET: PALETTE["soft"],
}

N, E, I, S = NotificationState, EscalationState, IncidentState, StepState  # noqa: E741 - as in ``machines``

OUTLINES: Mapping[str, Outline] = {
    "notification": Outline(
        spine=(N.QUEUED, N.SENDING, N.SENT, N.DELIVERED),
        sides={N.CANCELLED: (0, 0), N.FAILED: (1, 2)},
        hues={
            N.QUEUED: Hue.WAITING,
            N.SENDING: Hue.WAITING,
            N.SENT: Hue.GOOD,
            N.DELIVERED: Hue.GOOD,
            N.FAILED: Hue.BAD,
            N.CANCELLED: Hue.QUIET,
        },
        lines=(
            Line(N.QUEUED, N.SENDING, Track.USUAL, "a worker sends"),
            Line(N.SENDING, N.SENT, Track.USUAL, "accepted"),
            Line(N.SENT, N.DELIVERED, Track.USUAL, "confirmed"),
            Line(N.SENDING, N.QUEUED, Track.RETRY, "retry, with back-off"),
            Line(N.SENT, N.QUEUED, Track.RETRY, "did not arrive"),
            Line(N.SENDING, N.FAILED, Track.FAILURE, "refused, or tried enough"),
            Line(N.SENT, N.FAILED, Track.FAILURE, "never arrived"),
            Line(N.QUEUED, N.FAILED, Track.FAILURE, is_simple=False),
            Line(N.QUEUED, N.CANCELLED, Track.STOP, "acknowledged"),
            Line(N.SENDING, N.CANCELLED, Track.STOP, is_simple=False),
        ),
    ),
    "escalation": Outline(
        spine=(E.ACTIVE, E.REACHED, E.ACKNOWLEDGED),
        sides={E.EXHAUSTED: (0, 0), E.CANCELLED: (1, 1)},
        hues={
            E.ACTIVE: Hue.WAITING,
            E.REACHED: Hue.GOOD,
            E.EXHAUSTED: Hue.BAD,
            E.ACKNOWLEDGED: Hue.GOOD,
            E.CANCELLED: Hue.QUIET,
        },
        lines=(
            Line(E.ACTIVE, E.REACHED, Track.USUAL, "a page arrived"),
            Line(E.REACHED, E.ACKNOWLEDGED, Track.USUAL, "acknowledged"),
            Line(E.ACTIVE, E.ACKNOWLEDGED, Track.STOP, "acknowledged"),
            Line(E.EXHAUSTED, E.ACKNOWLEDGED, Track.STOP, is_simple=False),
            Line(E.ACTIVE, E.ACTIVE, Track.RETRY, "next tier"),
            Line(E.ACTIVE, E.EXHAUSTED, Track.FAILURE, "all failed"),
            Line(E.ACTIVE, E.CANCELLED, Track.STOP, "resolved"),
        ),
    ),
    "incident": Outline(
        spine=(I.OPEN, I.ACKNOWLEDGED, I.RESOLVED),
        sides={},
        hues={I.OPEN: Hue.BAD, I.ACKNOWLEDGED: Hue.QUIET, I.RESOLVED: Hue.GOOD},
        lines=(
            Line(I.OPEN, I.ACKNOWLEDGED, Track.USUAL, "acknowledged"),
            Line(I.ACKNOWLEDGED, I.RESOLVED, Track.USUAL, "resolved"),
            Line(I.OPEN, I.RESOLVED, Track.STOP, "resolved"),
            Line(I.ACKNOWLEDGED, I.OPEN, Track.RETRY, "more severe, or paged again"),
            Line(I.OPEN, I.OPEN, Track.RETRY, is_simple=False),
            Line(I.ACKNOWLEDGED, I.ACKNOWLEDGED, Track.RETRY, is_simple=False),
        ),
    ),
    "step": Outline(
        spine=(S.WAITING, S.STARTED, S.STOPPED),
        sides={S.PASSED: (0, 0)},
        hues={S.WAITING: Hue.WAITING, S.STARTED: Hue.BAD, S.PASSED: Hue.QUIET, S.STOPPED: Hue.GOOD},
        lines=(
            Line(S.WAITING, S.STARTED, Track.USUAL, "it is due"),
            Line(S.STARTED, S.STOPPED, Track.USUAL, "acknowledged"),
            Line(S.WAITING, S.STOPPED, Track.STOP, "acknowledged, or resolved"),
            Line(S.WAITING, S.PASSED, Track.FAILURE, "nobody to page, or over"),
            Line(S.WAITING, S.WAITING, Track.RETRY, is_simple=False),
        ),
    ),
}
