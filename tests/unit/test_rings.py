"""Due notifications are shared among rings; a worker sends those of one ring one after the other."""

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.engine.reporter import rings
from notifyflow.storage.ledger import Due


@pytest.mark.parametrize(
    ("due", "sizes"),
    [(0, []), (1, [1]), (32, [1] * 32), (33, [2] * 16 + [1]), (256, [8] * 32), (257, [8] * 32 + [1]), (800, [8] * 100)],
)
def test_few_notifications_are_shared_by_all_workers_and_many_come_in_eights(due: int, sizes: list[int]) -> None:
    rows = [Due(notification_id=str(number), channel="email", severity=Severity.ERROR) for number in range(due)]
    shared = [some for _, _, shares in rings(rows) for some in shares]
    assert [len(some) for some in shared] == sizes
    assert [each for some in shared for each in some] == rows


def test_urgent_notifications_come_first_and_channels_are_separate() -> None:
    rows = [
        Due(notification_id=f"{channel} {severity}", channel=channel, severity=severity)
        for severity in (Severity.INFO, Severity.CRITICAL)
        for channel in ("sms", "email")
    ]
    assert [(channel, severity) for channel, severity, _ in rings(rows)] == [
        *(("email", Severity.CRITICAL), ("sms", Severity.CRITICAL)),
        *(("email", Severity.INFO), ("sms", Severity.INFO)),
    ]
