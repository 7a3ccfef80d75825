"""The threads that handle rings while the broker accepts none."""

import threading
from collections.abc import Sequence

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.engine.local_bell import LocalBell
from notifyflow.errors import BrokerUnavailable
from tests.log_lines import capture_logs
from tests.waiting import wait_until

DEADLINE_S = 60


class Hanging:
    """Handles rings, and those for mail only when it is told to go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.handled: list[tuple[str, tuple[str, ...], bool]] = []

    def __call__(self, channel: str, notification_ids: Sequence[str], /, *, is_urgent: bool) -> None:
        if channel == "email":
            self.go_on.wait(DEADLINE_S)
        self.handled.append((channel, tuple(notification_ids), is_urgent))


def test_an_urgent_ring_does_not_wait_for_others() -> None:
    deliver = Hanging()
    stand_in = LocalBell(deliver, threads=1)
    stand_in.ring("email", Severity.ERROR, ["1"])
    stand_in.ring("sms", Severity.ERROR, ["2"])
    stand_in.ring("sms", Severity.CRITICAL, ["3", "4"])
    wait_until(lambda: bool(deliver.handled), within_s=DEADLINE_S)
    assert deliver.handled == [("sms", ("3", "4"), True)]
    deliver.go_on.set()
    stand_in.stop()
    assert deliver.handled[1:] == [("email", ("1",), False), ("sms", ("2",), False)]


def test_a_stop_waits_for_what_was_accepted_and_nothing_is_accepted_after_it() -> None:
    deliver = Hanging()
    stand_in = LocalBell(deliver, threads=1)
    for number in range(3):
        stand_in.ring("email", Severity.ERROR, [str(number)])
    stopping = threading.Thread(target=stand_in.stop)
    stopping.start()
    deliver.go_on.set()
    stopping.join(DEADLINE_S)
    assert len(deliver.handled) == 3
    with pytest.raises(BrokerUnavailable):
        stand_in.ring("email", Severity.CRITICAL, ["4"])


def test_an_error_is_logged_and_the_next_ring_is_handled() -> None:
    handled = threading.Event()

    def deliver(channel: str, notification_ids: Sequence[str], /, *, is_urgent: bool) -> None:
        if channel == "email":
            raise LookupError(is_urgent)
        assert list(notification_ids) == ["2"]
        handled.set()

    with capture_logs() as lines:
        stand_in = LocalBell(deliver, threads=1)
        stand_in.ring("email", Severity.ERROR, ["1"])
        stand_in.ring("sms", Severity.ERROR, ["2"])
        stand_in.stop()
    assert handled.is_set()
    assert [(line["event"], line["error"]) for line in lines] == [("engine.ring_failed", "LookupError")]
