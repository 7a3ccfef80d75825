"""The tables, as Peewee sees them: columns are named as the fields of the facts they keep, so that rows and facts map by name.

The models are bound to no database; every query says where it runs. Tables are made by the migrations, not from here, and a
test holds the two together. Personal data has columns of its own, which are marked (``MarkedField``).
"""

from notifyflow.storage.models.incidents import (
    AttemptRow,
    ContactRow,
    CriticalRow,
    EscalationRow,
    IncidentRow,
    NoticeRow,
    NotificationRow,
    ReceiptRow,
    TransitionRow,
)
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
    SpentRow,
    StopRow,
    TurnRow,
)

__all__ = [
    "ApiKeyRow",
    "AttemptRow",
    "ContactRow",
    "CriticalRow",
    "EnvironmentRow",
    "EscalationRow",
    "HeartbeatRow",
    "IdempotentResponseRow",
    "IncidentRow",
    "NoticeRow",
    "NotificationRow",
    "NumberRow",
    "OptOutRow",
    "OutageRow",
    "PauseRow",
    "ProviderHealthRow",
    "QuarantineRow",
    "ReceiptRow",
    "ReplyCodeRow",
    "SpentRow",
    "StopRow",
    "TransitionRow",
    "TurnRow",
]
