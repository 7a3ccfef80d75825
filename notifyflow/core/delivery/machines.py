"""The tables of the four state machines, and the machines built of them.

The tables are the only source: the code fires them, the diagrams draw them, the checker replays logs through them.
"""

from collections.abc import Mapping

from notifyflow.core.delivery.model import AT_REST, CLOSED, LIVE, EscalationState, IncidentState, NotificationState, StepState
from notifyflow.core.state_machine import Machine, MachineEvent, MachineTable

_Moves = dict[str, tuple[str, ...]]

N = NotificationState
_AT_REST = tuple(state for state in N if state in AT_REST)


def _recorded(name: str, meaning: str, *from_sending: str, from_delivered: tuple[str, ...] = (N.DELIVERED,)) -> MachineEvent:
    return MachineEvent(name, meaning, {N.SENDING: from_sending, N.DELIVERED: from_delivered}, late=(N.CANCELLED,))


def _reported(name: str, meaning: str, leads_to: Mapping[str, tuple[str, ...]]) -> MachineEvent:
    """Return the event of a receipt: every state but CANCELLED may stay as it is."""
    moves: _Moves = {state: (*leads_to.get(state, ()), state) for state in N if state is not N.CANCELLED}
    return MachineEvent(name, meaning, moves, late=(N.CANCELLED,))


def _ended(name: str, meaning: str) -> MachineEvent:
    return MachineEvent(name, meaning, {N.QUEUED: (N.FAILED,)}, late=_AT_REST)


def _stopped(name: str, meaning: str) -> MachineEvent:
    moves: _Moves = {state: (state,) for state in N if state is not N.CANCELLED}
    return MachineEvent(name, meaning, {**moves, N.QUEUED: (N.CANCELLED,)}, late=(N.CANCELLED,))


NOTIFICATION = MachineTable(
    name="notification",
    states={
        N.QUEUED: "Waits to be sent, now or when its next attempt is due",
        N.SENDING: "A worker holds its lease and calls the provider",
        N.SENT: "The provider accepted it; its arrival is not confirmed",
        N.DELIVERED: "The provider reports that it arrived, or a key was pressed during the call",
        N.FAILED: "It failed; only a late receipt can still change that",
        N.CANCELLED: "Not sent any more: the incident was acknowledged or resolved, or a newer round replaced this one",
    },
    initial_states=(N.QUEUED,),
    ends=(N.CANCELLED,),
    events=(
        MachineEvent(
            "claimed",
            "A worker claimed it under a lease and begins an attempt",
            {N.QUEUED: (N.SENDING,)},
            late=_AT_REST,
        ),
        MachineEvent("deferred", "It was due, but a limit, an open circuit or a pause defers it", {N.QUEUED: (N.QUEUED,)}),
        MachineEvent("postponed", "It was due, and waits for others in a storm or for a call to end", {N.QUEUED: (N.QUEUED,)}),
        _recorded("accepted", "The provider accepted the attempt", N.SENT, N.QUEUED, N.FAILED, N.CANCELLED),
        _recorded("refused", "The attempt failed temporarily, or our account was refused", N.QUEUED, N.FAILED, N.CANCELLED),
        _recorded("refused_for_good", "The attempt failed permanently", N.FAILED, from_delivered=(N.DELIVERED, N.FAILED)),
        _recorded("doubted", "No definite answer came: the attempt is in doubt", N.QUEUED, N.SENT, N.FAILED, N.CANCELLED),
        _recorded("lease_expired", "The lease expired: the attempt is in doubt", N.QUEUED, N.SENT, N.FAILED, N.CANCELLED),
        _recorded("released", "The worker returned it unsent", N.QUEUED, N.SENT, N.FAILED, N.CANCELLED),
        _reported("noted", "The provider reported something that changes no result", {}),
        _reported(
            "acceptance_reported", "The provider reported that it accepted an attempt", {N.QUEUED: (N.SENT,), N.FAILED: (N.SENT,)}
        ),
        _reported(
            "temporary_failure_reported",
            "The provider reported a temporary failure of an attempt",
            {N.SENT: (N.QUEUED, N.FAILED, N.CANCELLED), N.FAILED: (N.QUEUED, N.CANCELLED)},
        ),
        _reported(
            "delivery_reported",
            "The provider reported the delivery of an attempt",
            dict.fromkeys((N.QUEUED, N.SENDING, N.SENT, N.FAILED), (N.DELIVERED,)),
        ),
        _reported(
            "permanent_failure_reported",
            "The provider reported a permanent failure of an attempt",
            {N.QUEUED: (N.FAILED,), N.SENT: (N.FAILED,), N.DELIVERED: (N.FAILED, N.SENDING, N.SENT, N.QUEUED, N.CANCELLED)},
        ),
        _ended("expired", "Its round started too long ago"),
        _ended("beyond_retry_window", "The next attempt would be after the retry window"),
        _ended("no_provider", "No provider is configured for the channel"),
        _ended("capped", "A cap on messages was reached"),
        _ended("opted_out", "The recipient sent STOP to every number that could text them"),
        _stopped("acknowledged", "Somebody acknowledged the incident"),
        _stopped("resolved", "The incident was resolved"),
        _stopped("replaced", "A newer round replaced this one"),
    ),
)

E = EscalationState
_LIVE: tuple[str, ...] = tuple(state for state in E if state in LIVE)
_CLOSED = tuple(state for state in E if state in CLOSED)


def _decision(name: str, meaning: str) -> MachineEvent:
    """Return the event of a decision: every move among the three live states is legal, and the facts name the target."""
    return MachineEvent(name, meaning, dict.fromkeys(_LIVE, _LIVE), late=_CLOSED)


def _closing(name: str, meaning: str) -> MachineEvent:
    moves: _Moves = {E.ACTIVE: (E.CANCELLED,), E.REACHED: (E.REACHED,), E.EXHAUSTED: (E.EXHAUSTED,)}
    return MachineEvent(name, meaning, moves, late=_CLOSED, guard="", then="stop_pages")


ESCALATION = MachineTable(
    name="escalation",
    states={
        E.ACTIVE: "A page is queued, being sent or awaiting a receipt, or the timer of a tier is running",
        E.REACHED: "Nothing is pending, and a page is SENT or DELIVERED; in a CRITICAL round, one has arrived",
        E.EXHAUSTED: "Nothing is pending, and no page is SENT or DELIVERED; in a CRITICAL round, none has arrived",
        E.ACKNOWLEDGED: "Its recipient acknowledged the incident, or somebody did for all",
        E.CANCELLED: "The incident was resolved, or a newer round replaced it, while it was ACTIVE",
    },
    initial_states=(E.ACTIVE, E.EXHAUSTED),
    ends=_CLOSED,
    events=(
        MachineEvent(
            "tier_opened",
            "A rule of the next tier is met, or the tier in force has no address",
            dict.fromkeys(_LIVE, (E.ACTIVE,)),
            late=_CLOSED,
            guard="is_rule_met",
            then="open_tier",
            is_loop_drawn=True,
        ),
        _decision("recorded", "An attempt was recorded, lost or returned unsent, or a page was ended"),
        _decision("received", "A receipt changed one of its pages"),
        _decision("timer_due", "The time ``next_decision_at`` has come"),
        _decision("address_added", "The recipient has a new address"),
        _decision(
            "round_due", "The recipient's next round is due, by the policy or since an address changed; or the last one is over"
        ),
        MachineEvent(
            "acknowledged",
            "Its recipient acknowledged the incident, or somebody did for all",
            dict.fromkeys(_LIVE, (E.ACKNOWLEDGED,)),
            late=_CLOSED,
            guard="",
            then="stop_pages",
        ),
        _closing("resolved", "The incident was resolved"),
        _closing("replaced", "A newer round replaced this one"),
    ),
)

I = IncidentState  # noqa: E741 - the tables are read by their first letters

INCIDENT = MachineTable(
    name="incident",
    states={
        I.OPEN: "Nobody has acknowledged it; its recipients are paged",
        I.ACKNOWLEDGED: "Somebody acknowledged it; nobody is paged",
        I.RESOLVED: "It is over; the same key opens a new incident",
    },
    initial_states=(I.OPEN,),
    ends=(I.RESOLVED,),
    events=(
        MachineEvent(
            "repeated",
            "The same key came again with the same or a lower severity",
            {I.OPEN: (I.OPEN,), I.ACKNOWLEDGED: (I.ACKNOWLEDGED,)},
            late=(I.RESOLVED,),
            guard="",
            then="count",
            is_loop_drawn=True,
        ),
        MachineEvent(
            "severity_raised",
            "The same key came again with a higher severity; everybody gets a new round",
            {I.OPEN: (I.OPEN,), I.ACKNOWLEDGED: (I.OPEN,)},
            late=(I.RESOLVED,),
            guard="",
            then="raise_severity",
            is_loop_drawn=True,
        ),
        MachineEvent(
            "paged_again",
            "An operator asked for a new round, or an operations incident has new failures",
            {I.OPEN: (I.OPEN,), I.ACKNOWLEDGED: (I.OPEN,)},
            guard="",
            then="page",
            is_loop_drawn=True,
        ),
        MachineEvent(
            "step_due",
            "The next step of its chain begins, or its chain is over",
            {I.OPEN: (I.OPEN,)},
            late=(I.ACKNOWLEDGED, I.RESOLVED),
            guard="",
            then="go_on",
            is_loop_drawn=True,
        ),
        MachineEvent(
            "acknowledged",
            "Somebody acknowledged it, for all or only for themselves",
            {I.OPEN: (I.ACKNOWLEDGED, I.OPEN)},
            late=(I.ACKNOWLEDGED, I.RESOLVED),
            then="acknowledge",
        ),
        MachineEvent(
            "resolved",
            "Somebody resolved it",
            {I.OPEN: (I.RESOLVED,), I.ACKNOWLEDGED: (I.RESOLVED,)},
            late=(I.RESOLVED,),
            guard="",
            then="finish",
        ),
    ),
)

S = StepState


def _ending(name: str, meaning: str) -> MachineEvent:
    return MachineEvent(name, meaning, dict.fromkeys((S.WAITING, S.STARTED), (S.STOPPED,)), late=(S.SKIPPED, S.STOPPED), guard="")


STEP = MachineTable(
    name="step",
    states={
        S.WAITING: "Waits until the time of the step before is over, or every way to everybody in it has failed",
        S.STARTED: "It pages its people",
        S.SKIPPED: "It pages nobody: its people are paged already, nobody is on duty, or the chain is over",
        S.STOPPED: "The incident was acknowledged or resolved",
    },
    initial_states=(S.WAITING,),
    ends=(S.SKIPPED, S.STOPPED),
    events=(
        MachineEvent(
            "step_due",
            "The time of the step before is over, or every way to everybody in it has failed",
            {S.WAITING: (S.STARTED, S.SKIPPED)},
            late=(S.STARTED, S.SKIPPED, S.STOPPED),
        ),
        MachineEvent(
            "chain_over", "The chain is over, and nobody has acknowledged", {S.WAITING: (S.SKIPPED,)}, late=(S.STOPPED,), guard=""
        ),
        _ending("acknowledged", "Somebody acknowledged the incident"),
        _ending("resolved", "The incident was resolved"),
        MachineEvent("restarted", "Its time begins anew", {S.WAITING: (S.WAITING,)}, late=(S.STARTED, S.SKIPPED), guard=""),
    ),
)

MACHINES: Mapping[str, Machine] = {table.name: Machine(table) for table in (NOTIFICATION, ESCALATION, INCIDENT, STEP)}
