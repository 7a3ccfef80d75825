"""One namespace's flood does not take a provider's minute from the others."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import DeferralReason, NotificationState, Severity
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.namespaces import OPERATIONS
from tests.builders import a_recipient, an_incident
from tests.driver import Driver

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

QUEUED, SENT = NotificationState.QUEUED, NotificationState.SENT
LIMIT = 20
"""Slots a minute: 16 and a reserve of 4; of these 3 and 1 are kept for namespaces that have had little."""


@pytest.fixture
def limited(driver: Driver) -> Driver:
    driver.deps = replace(driver.deps, limits={"the email provider": LIMIT})
    return driver


def send(driver: Driver, namespace: str, *keys: str, severity: Severity = Severity.ERROR) -> None:
    for key in keys:
        driver.notify(an_incident(key, severity=severity), a_recipient("ada", "email"), namespace=namespace)
        driver.clock.pass_time(timedelta(milliseconds=1))


def flood(driver: Driver, namespace: str, name: str, *, severity: Severity = Severity.ERROR) -> list[str]:
    keys = [f"{name}-{number:02}" for number in range(3 * LIMIT)]
    send(driver, namespace, *keys, severity=severity)
    driver.deliver()
    return keys


def state(driver: Driver, namespace: str, key: str) -> NotificationState:
    found: IncidentStatus | None = driver.store.read(lambda reads: reads.status(key, namespace=namespace))
    assert found is not None
    (escalation,) = found.escalations
    return escalation.notifications[0].state


def sent(driver: Driver, namespace: str, keys: list[str]) -> int:
    return sum(state(driver, namespace, key) is SENT for key in keys)


@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.CRITICAL])
def test_a_page_of_another_namespace_leaves_during_a_flood_as_without_it(limited: Driver, severity: Severity) -> None:
    send(limited, "quiet", "earlier")
    limited.deliver()
    limited.pass_time(minutes=50)
    keys = flood(limited, "loud", "flood", severity=severity)
    assert sent(limited, "loud", keys) == {Severity.ERROR: 13, Severity.CRITICAL: 16}[severity]
    for number, each in enumerate((Severity.ERROR, severity)):
        send(limited, "quiet", f"page-{number}", severity=each)
        limited.deliver()
        assert state(limited, "quiet", f"page-{number}") is SENT


def test_a_flood_takes_what_is_kept_for_others_in_no_later_minute_either(limited: Driver) -> None:
    send(limited, "quiet", "earlier")
    flood(limited, "loud", "flood")
    for number in range(8):
        limited.pass_time(seconds=22)
        send(limited, "quiet", f"page-{number}")
        limited.deliver()
        assert state(limited, "quiet", f"page-{number}") is SENT


def test_both_floods_get_an_even_part(limited: Driver) -> None:
    send(limited, "a", "a-first")
    send(limited, "b", "b-first")
    limited.deliver()
    limited.pass_time(minutes=2)
    keys = {name: [f"{name}-{number}" for number in range(2 * LIMIT)] for name in "ab"}
    for name, its in keys.items():
        send(limited, name, *its)
    limited.deliver()
    assert {name: sent(limited, name, its) for name, its in keys.items()} == {"a": 8, "b": 8}


@pytest.mark.parametrize(("severity", "share"), [(Severity.ERROR, 16), (Severity.CRITICAL, LIMIT)])
def test_a_lone_namespace_has_the_whole_minute(limited: Driver, severity: Severity, share: int) -> None:
    send(limited, "quiet", "earlier")
    limited.deliver()
    limited.pass_time(minutes=61)
    assert sent(limited, "loud", flood(limited, "loud", "flood", severity=severity)) == share


def test_operations_is_no_namespace_beside_a_lone_one_and_takes_what_is_kept(limited: Driver) -> None:
    send(limited, OPERATIONS, "earlier")
    limited.deliver()
    limited.pass_time(minutes=2)
    assert sent(limited, "loud", flood(limited, "loud", "first")) == 16
    limited.pass_time(minutes=10)
    send(limited, "quiet", "earlier")
    limited.deliver()
    limited.pass_time(minutes=2)
    flood(limited, "loud", "second", severity=Severity.CRITICAL)
    keys = [f"told-{number}" for number in range(5)]
    send(limited, OPERATIONS, *keys, severity=Severity.CRITICAL)
    limited.deliver()
    assert [state(limited, OPERATIONS, key) for key in keys] == [SENT] * 4 + [QUEUED]


def test_a_namespaces_own_flood_keeps_its_critical_page_from_no_reserve(driver: Driver) -> None:
    driver.deps = replace(driver.deps, limits={"the email provider": 5})
    send(driver, "quiet", "earlier")
    driver.deliver()
    driver.pass_time(minutes=2)
    assert sent(driver, "loud", flood(driver, "loud", "flood")) == 3
    send(driver, "loud", "urgent", severity=Severity.CRITICAL)
    driver.deliver()
    assert state(driver, "loud", "urgent") is SENT


def test_what_a_flood_waits_for_defers_nothing_of_another_namespace(limited: Driver) -> None:
    send(limited, "quiet", "earlier")
    limited.deliver()
    flood(limited, "loud", "flood")
    send(limited, "loud", "more")
    send(limited, "quiet", "page")
    assert len(limited.claim("email", limit=10)) == 1
    assert state(limited, "quiet", "page") is NotificationState.SENDING
    deferred = limited.store.read(lambda reads: reads.status("more", namespace="loud"))
    assert deferred is not None
    assert deferred.escalations[0].notifications[0].deferred_by is DeferralReason.LIMIT
