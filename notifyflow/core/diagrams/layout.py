"""The layout of the machines' diagrams: where each state stands, and what each move means to a reader.

Data: the tables of ``machines`` decide what a row does; these only say how it is drawn. A move without an edge here is a late
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


class EdgeKind(StrEnum):
    """What a move means to a reader; LATE: an earlier record turns out to be wrong."""

    USUAL = "usual"
    RETRY = "retry"
    FAILURE = "failure"
    STOP = "stop"
    LATE = "late"


class StateColour(StrEnum):
    """The colour of a state, by its meaning."""

    WAITING = "waiting"
    GOOD = "good"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge of a diagram: a move of the machine.

    Attributes:
        words: When it is made, in a word or two.
        is_simple: Whether the simple view shows it.
    """

    source: str
    target: str
    kind: EdgeKind
    words: str = ""
    is_simple: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the diagram of a machine has its states and edges.

    Attributes:
        main_path: The states of the usual way, in order.
        sides: The other states, with the first and the last place on the main path that they stand below, counted from 0.
        colours: The colour of each state.
        edges: The moves that are no corrections.
    """

    main_path: tuple[str, ...]
    sides: Mapping[str, tuple[int, int]]
    colours: Mapping[str, StateColour]
    edges: tuple[Edge, ...]

    def edge(self, source: str, target: str) -> Edge:
        """Return the edge of a move; a correction has one without words."""
        found = (edge for edge in self.edges if (edge.source, edge.target) == (source, target))
        return next(found, Edge(source, target, EdgeKind.LATE, is_simple=False))


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
COLOURS: Mapping[StateColour, str] = {
    StateColour.WAITING: PALETTE["warning"],
    StateColour.GOOD: PALETTE["good"],
    StateColour.BAD: PALETTE["critical"],
    StateColour.QUIET: PALETTE["soft"],
}

N, E, I, S = NotificationState, EscalationState, IncidentState, StepState  # noqa: E741 - as in ``machines``

LAYOUTS: Mapping[str, Layout] = {
    "notification": Layout(
        main_path=(N.QUEUED, N.SENDING, N.SENT, N.DELIVERED),
        sides={N.CANCELLED: (0, 0), N.FAILED: (1, 2)},
        colours={
            N.QUEUED: StateColour.WAITING,
            N.SENDING: StateColour.WAITING,
            N.SENT: StateColour.GOOD,
            N.DELIVERED: StateColour.GOOD,
            N.FAILED: StateColour.BAD,
            N.CANCELLED: StateColour.QUIET,
        },
        edges=(
            Edge(N.QUEUED, N.SENDING, EdgeKind.USUAL, "a worker sends"),
            Edge(N.SENDING, N.SENT, EdgeKind.USUAL, "accepted"),
            Edge(N.SENT, N.DELIVERED, EdgeKind.USUAL, "confirmed"),
            Edge(N.SENDING, N.QUEUED, EdgeKind.RETRY, "retry, with back-off"),
            Edge(N.SENT, N.QUEUED, EdgeKind.RETRY, "did not arrive"),
            Edge(N.SENDING, N.FAILED, EdgeKind.FAILURE, "refused, or tried enough"),
            Edge(N.SENT, N.FAILED, EdgeKind.FAILURE, "never arrived"),
            Edge(N.QUEUED, N.FAILED, EdgeKind.FAILURE, is_simple=False),
            Edge(N.QUEUED, N.CANCELLED, EdgeKind.STOP, "acknowledged"),
            Edge(N.SENDING, N.CANCELLED, EdgeKind.STOP, is_simple=False),
        ),
    ),
    "escalation": Layout(
        main_path=(E.ACTIVE, E.REACHED, E.ACKNOWLEDGED),
        sides={E.EXHAUSTED: (0, 0), E.CANCELLED: (1, 1)},
        colours={
            E.ACTIVE: StateColour.WAITING,
            E.REACHED: StateColour.GOOD,
            E.EXHAUSTED: StateColour.BAD,
            E.ACKNOWLEDGED: StateColour.GOOD,
            E.CANCELLED: StateColour.QUIET,
        },
        edges=(
            Edge(E.ACTIVE, E.REACHED, EdgeKind.USUAL, "a page arrived"),
            Edge(E.REACHED, E.ACKNOWLEDGED, EdgeKind.USUAL, "acknowledged"),
            Edge(E.ACTIVE, E.ACKNOWLEDGED, EdgeKind.STOP, "acknowledged"),
            Edge(E.EXHAUSTED, E.ACKNOWLEDGED, EdgeKind.STOP, is_simple=False),
            Edge(E.ACTIVE, E.ACTIVE, EdgeKind.RETRY, "next tier"),
            Edge(E.ACTIVE, E.EXHAUSTED, EdgeKind.FAILURE, "all failed"),
            Edge(E.ACTIVE, E.CANCELLED, EdgeKind.STOP, "resolved"),
        ),
    ),
    "incident": Layout(
        main_path=(I.OPEN, I.ACKNOWLEDGED, I.RESOLVED),
        sides={},
        colours={I.OPEN: StateColour.BAD, I.ACKNOWLEDGED: StateColour.QUIET, I.RESOLVED: StateColour.GOOD},
        edges=(
            Edge(I.OPEN, I.ACKNOWLEDGED, EdgeKind.USUAL, "acknowledged"),
            Edge(I.ACKNOWLEDGED, I.RESOLVED, EdgeKind.USUAL, "resolved"),
            Edge(I.OPEN, I.RESOLVED, EdgeKind.STOP, "resolved"),
            Edge(I.ACKNOWLEDGED, I.OPEN, EdgeKind.RETRY, "more severe, or paged again"),
            Edge(I.OPEN, I.OPEN, EdgeKind.RETRY, is_simple=False),
            Edge(I.ACKNOWLEDGED, I.ACKNOWLEDGED, EdgeKind.RETRY, is_simple=False),
        ),
    ),
    "step": Layout(
        main_path=(S.WAITING, S.STARTED, S.STOPPED),
        sides={S.SKIPPED: (0, 0)},
        colours={
            S.WAITING: StateColour.WAITING,
            S.STARTED: StateColour.BAD,
            S.SKIPPED: StateColour.QUIET,
            S.STOPPED: StateColour.GOOD,
        },
        edges=(
            Edge(S.WAITING, S.STARTED, EdgeKind.USUAL, "it is due"),
            Edge(S.STARTED, S.STOPPED, EdgeKind.USUAL, "acknowledged"),
            Edge(S.WAITING, S.STOPPED, EdgeKind.STOP, "acknowledged, or resolved"),
            Edge(S.WAITING, S.SKIPPED, EdgeKind.FAILURE, "nobody to page, or over"),
            Edge(S.WAITING, S.WAITING, EdgeKind.RETRY, is_simple=False),
        ),
    ),
}
