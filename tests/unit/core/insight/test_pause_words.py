"""A pause in words."""

import pytest

from notifyflow.core.insight.pause_words import sentence
from notifyflow.core.limits.pauses import Pause, PauseScope
from tests.facts import NOW, minutes


@pytest.mark.parametrize(
    ("scope", "name", "is_for_critical", "text"),
    [
        (PauseScope.ALL, "", False, "everything is paused until 03:30 by eve; CRITICAL is still sent"),
        (PauseScope.CHANNEL, "sms", True, "text is paused until 03:30 by eve; CRITICAL, too"),
        (PauseScope.PROVIDER, "twilio", False, "provider twilio is paused until 03:30 by eve; CRITICAL is still sent"),
    ],
)
def test_a_pause_says_what_until_when_and_by_whom(scope: PauseScope, name: str, is_for_critical: bool, text: str) -> None:
    pause = Pause(
        scope=scope, name=name, ends_at=NOW + minutes(30), paused_at=NOW, paused_by="eve", is_for_critical=is_for_critical
    )
    assert sentence(pause, until=lambda at: f"{at:%H:%M}") == text
