"""A key names one unresolved incident of its namespace, for whoever notifies, acknowledges, resolves or pages again."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from notifyflow.core import namespaces
from notifyflow.core.delivery.incident_events import Subscriber
from notifyflow.core.delivery.model import EscalationState, IncidentState, Notified, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.references import ByKey
from notifyflow.errors import AmbiguousKey, NotFound
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.acknowledge import acknowledge, page_again, resolve
from tests.builders import KEY, REFUSED, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.storage.samples import found_in
from tests.notifying import notify

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

ADA = a_recipient("ada", "email")
NAMESPACES = (namespaces.SHARED, "prometheus", "staging")

Act = Callable[..., object]
ACTS: dict[str, Act] = {
    "acknowledge": lambda deps, **given: acknowledge(deps, ByKey(KEY, **given), by="ops", via=Via.API),
    "resolve": lambda deps, **given: resolve(deps, ByKey(KEY, **given), by="ops", via=Via.API),
    "page again": lambda deps, **given: page_again(deps, ByKey(KEY, **given), "ada", by="ops", via=Via.API),
}


def _notify(driver: Driver, namespace: str, *, title: str = "orders db is down", severity: Severity = Severity.ERROR) -> Notified:
    incident = an_incident(title=title, severity=severity)
    return notify(driver.deps, incident, [ADA], policy=DEFAULT, namespace=namespace).value


def _status(driver: Driver, namespace: str) -> IncidentStatus:
    status = driver.store.read(lambda reads: reads.status(KEY, namespace=namespace))
    assert status is not None
    return status


def _all(driver: Driver) -> dict[str, IncidentStatus]:
    return {namespace: _status(driver, namespace) for namespace in NAMESPACES}


def test_the_same_key_in_another_namespace_is_another_incident(driver: Driver) -> None:
    opened = {namespace: _notify(driver, namespace) for namespace in NAMESPACES}
    assert all(each.is_new for each in opened.values())
    assert len({each.incident_id for each in opened.values()}) == len(NAMESPACES)
    assert {namespace: status.facts.id for namespace, status in _all(driver).items()} == {
        namespace: each.incident_id for namespace, each in opened.items()
    }
    driver.deliver()
    assert len(driver.seen) == len(NAMESPACES)
    assert found_in(driver.store, driver.clock.now()) == []


@pytest.mark.parametrize("mine", NAMESPACES)
def test_a_repetition_counts_amends_and_raises_in_its_own_namespace_only(driver: Driver, mine: str) -> None:
    for namespace in NAMESPACES:
        _notify(driver, namespace)
    before = _all(driver)
    assert not _notify(driver, mine, title="another title", severity=Severity.CRITICAL).is_new
    after = _all(driver)
    assert {namespace for namespace in NAMESPACES if after[namespace] != before[namespace]} == {mine}
    assert (after[mine].content.title, after[mine].facts.severity, after[mine].facts.times_seen) == (
        "another title",
        Severity.CRITICAL,
        2,
    )


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("mine", NAMESPACES)
def test_an_act_in_a_namespace_touches_no_other(driver: Driver, act: str, mine: str) -> None:
    for namespace in NAMESPACES:
        _notify(driver, namespace)
    before = _all(driver)
    ACTS[act](driver.deps, namespace=mine)
    after = _all(driver)
    assert {namespace for namespace in NAMESPACES if after[namespace] != before[namespace]} == {mine}


@pytest.mark.parametrize("act", ACTS)
def test_without_a_namespace_all_incidents_are_listed_and_nothing_is_done(driver: Driver, act: str) -> None:
    opened = {namespace: _notify(driver, namespace).incident_id for namespace in NAMESPACES}
    before = _all(driver)
    with pytest.raises(AmbiguousKey) as caught:
        ACTS[act](driver.deps)
    assert _all(driver) == before
    assert dict(caught.value.incidents) == opened
    assert all(part in str(caught.value) for part in (*opened.values(), "'prometheus'", "--namespace", "namespace="))


@pytest.mark.parametrize("act", ACTS)
def test_whoever_names_no_namespace_finds_the_only_unresolved_one_in_any(driver: Driver, act: str) -> None:
    _notify(driver, "prometheus")
    before = _status(driver, "prometheus")
    ACTS[act](driver.deps)
    assert _status(driver, "prometheus") != before


@pytest.mark.parametrize("act", ACTS)
def test_a_key_that_only_other_namespaces_have_is_not_found(driver: Driver, act: str) -> None:
    _notify(driver, "prometheus")
    before = _status(driver, "prometheus")
    with pytest.raises(NotFound, match="in the namespace 'staging'"):
        ACTS[act](driver.deps, namespace="staging")
    assert _status(driver, "prometheus") == before


def test_incident_events_name_the_namespace(driver: Driver) -> None:
    driver.deps = replace(driver.deps, subscribers=(Subscriber(name="status", url="https://status.example.com", secrets=()),))
    for namespace in NAMESPACES:
        _notify(driver, namespace)
    assert sorted(each.message.content.namespace for each in driver.claim("webhook")) == sorted(NAMESPACES)


def test_after_resolve_the_key_is_free_in_its_namespace_and_in_use_in_others(driver: Driver) -> None:
    first = {namespace: _notify(driver, namespace).incident_id for namespace in NAMESPACES}
    resolve(driver.deps, ByKey(KEY, "prometheus"), by="ops", via=Via.API)
    again = {namespace: _notify(driver, namespace) for namespace in NAMESPACES}
    assert {namespace for namespace, each in again.items() if each.is_new} == {"prometheus"}
    assert {namespace for namespace, each in again.items() if each.incident_id != first[namespace]} == {"prometheus"}


def test_the_operations_incident_stands_in_the_reserved_namespace(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    _notify(driver, "prometheus", severity=Severity.CRITICAL)
    driver.deliver()
    assert _status(driver, "prometheus").escalations[0].facts.state is EscalationState.EXHAUSTED
    found = driver.store.read(lambda reads: reads.status(operations.KEY))
    assert found is not None
    assert (found.facts.namespace, found.facts.is_operations) == (namespaces.OPERATIONS, True)
    assert _status(driver, "prometheus").operations_key == operations.KEY
    acknowledge(driver.deps, ByKey(operations.KEY), by="ops", via=Via.CLI)
    status = driver.store.read(partial(lambda reads, **given: reads.status(operations.KEY, **given), namespace="notifyflow"))
    assert status is not None
    assert status.facts.state is IncidentState.ACKNOWLEDGED
