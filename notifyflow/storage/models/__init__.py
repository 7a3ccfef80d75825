"""The tables as Peewee models; columns have the names of the fields of the facts, so that rows and facts map by name.

The models are bound to no database; every query names the one it runs on. The migrations create the tables, and a test
compares them with the models. Personal data has columns of its own, which are marked (``MarkedField``).
"""

from notifyflow.storage.models.figures import FoldRow, MinuteRow, SeriesRow
from notifyflow.storage.models.incidents import (
    ArrivalRow,
    AttemptRow,
    ContactRow,
    CriticalRow,
    EscalationRow,
    IncidentRow,
    NoticeRow,
    NotificationRow,
    OutboxRow,
    PolicyRow,
    ReceiptRow,
    TransitionRow,
)
from notifyflow.storage.models.roster import CalendarRow, OverrideRow, RosterRow
from notifyflow.storage.models.service import (
    ApiKeyRow,
    EnvironmentRow,
    HeartbeatRow,
    IdempotentResponseRow,
    NumberRow,
    OptOutRow,
    OutageRow,
    PauseRow,
    ProviderHealthRow,
    QuarantineRow,
    ReplyCodeRow,
    SessionRow,
    SetupRow,
    SpentRow,
    StopRow,
    TurnRow,
    UserRow,
)

__all__ = [
    "ApiKeyRow",
    "ArrivalRow",
    "AttemptRow",
    "CalendarRow",
    "ContactRow",
    "CriticalRow",
    "EnvironmentRow",
    "EscalationRow",
    "FoldRow",
    "HeartbeatRow",
    "IdempotentResponseRow",
    "IncidentRow",
    "MinuteRow",
    "NoticeRow",
    "NotificationRow",
    "NumberRow",
    "OptOutRow",
    "OutageRow",
    "OutboxRow",
    "OverrideRow",
    "PauseRow",
    "PolicyRow",
    "ProviderHealthRow",
    "QuarantineRow",
    "ReceiptRow",
    "ReplyCodeRow",
    "RosterRow",
    "SeriesRow",
    "SessionRow",
    "SetupRow",
    "SpentRow",
    "StopRow",
    "TransitionRow",
    "TurnRow",
    "UserRow",
]
