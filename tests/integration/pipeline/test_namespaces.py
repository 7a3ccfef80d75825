"""A key names one unresolved incident of its namespace, for whoever notifies, acknowledges, resolves or pages again."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from notifyflow.core import namespaces
from notifyflow.core.incident_events import Subscriber
from notifyflow.core.model import EscalationState, IncidentState, Notified, Severity
from notifyflow.core.policy import DEFAULT
from notifyflow.core.views import IncidentStatus
from notifyflow.errors import AmbiguousKey, NotFound
from notifyflow.pipeline import operations
from notifyflow.pipeline.acknowledge import acknowledge
from notifyflow.pipeline.notify import notify
from notifyflow.pipeline.page_again import page_again
from notifyflow.pipeline.resolve import resolve
from tests.builders import KEY, REFUSED, Story, a_recipient, an_incident
from tests.integration.storage.samples import found_in

ADA = a_recipient("ada", "email")
NAMESPACES = (namespaces.SHARED, "prometheus", "staging")

Act = Callable[..., object]
ACTS: dict[str, Act] = {
    "acknowledge": lambda deps, **given: acknowledge(deps, KEY, by="ops", via="api", **given),
    "resolve": lambda deps, **given: resolve(deps, KEY, by="ops", via="api", **given),
    "page again": lambda deps, **given: page_again(deps, KEY, "ada", by="ops", via="api", **given),
}


def _notify(story: Story, namespace: str, *, title: str = "orders db is down", severity: Severity = Severity.ERROR) -> Notified:
    incident = an_incident(title=title, severity=severity)
    return notify(story.deps, incident, [ADA], policy=DEFAULT, namespace=namespace).notified


def _status(story: Story, namespace: str) -> IncidentStatus:
    status = story.store.read(lambda reads: reads.status(KEY, namespace=namespace))
    assert status is not None
    return status


def _all(story: Story) -> dict[str, IncidentStatus]:
    return {namespace: _status(story, namespace) for namespace in NAMESPACES}


def test_the_same_key_in_another_namespace_is_another_incident(story: Story) -> None:
    opened = {namespace: _notify(story, namespace) for namespace in NAMESPACES}
    assert all(each.is_new for each in opened.values())
    assert len({each.incident_id for each in opened.values()}) == len(NAMESPACES)
    assert {namespace: status.facts.id for namespace, status in _all(story).items()} == {
        namespace: each.incident_id for namespace, each in opened.items()
    }
    story.deliver()
    assert len(story.seen) == len(NAMESPACES)
    assert found_in(story.store, story.clock.now()) == []


@pytest.mark.parametrize("mine", NAMESPACES)
def test_a_repetition_counts_amends_and_raises_in_its_own_namespace_only(story: Story, mine: str) -> None:
    for namespace in NAMESPACES:
        _notify(story, namespace)
    before = _all(story)
    assert not _notify(story, mine, title="another title", severity=Severity.CRITICAL).is_new
    after = _all(story)
    assert {namespace for namespace in NAMESPACES if after[namespace] != before[namespace]} == {mine}
    assert (after[mine].content.title, after[mine].facts.severity, after[mine].facts.times_seen) == (
        "another title",
        Severity.CRITICAL,
        2,
    )


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("mine", NAMESPACES)
def test_an_act_in_a_namespace_touches_no_other(story: Story, act: str, mine: str) -> None:
    for namespace in NAMESPACES:
        _notify(story, namespace)
    before = _all(story)
    ACTS[act](story.deps, namespace=mine)
    after = _all(story)
    assert {namespace for namespace in NAMESPACES if after[namespace] != before[namespace]} == {mine}


@pytest.mark.parametrize("act", ACTS)
def test_whoever_names_no_namespace_is_told_of_all_and_nothing_is_done(story: Story, act: str) -> None:
    opened = {namespace: _notify(story, namespace).incident_id for namespace in NAMESPACES}
    before = _all(story)
    with pytest.raises(AmbiguousKey) as caught:
        ACTS[act](story.deps)
    assert _all(story) == before
    assert dict(caught.value.incidents) == opened
    assert all(part in str(caught.value) for part in (*opened.values(), "'prometheus'", "--namespace", "namespace="))


@pytest.mark.parametrize("act", ACTS)
def test_whoever_names_no_namespace_finds_the_only_unresolved_one_in_any(story: Story, act: str) -> None:
    _notify(story, "prometheus")
    before = _status(story, "prometheus")
    ACTS[act](story.deps)
    assert _status(story, "prometheus") != before


@pytest.mark.parametrize("act", ACTS)
def test_a_key_that_only_other_namespaces_have_is_not_found(story: Story, act: str) -> None:
    _notify(story, "prometheus")
    before = _status(story, "prometheus")
    with pytest.raises(NotFound, match="in the namespace 'staging'"):
        ACTS[act](story.deps, namespace="staging")
    assert _status(story, "prometheus") == before


def test_what_other_systems_are_told_names_the_namespace(story: Story) -> None:
    story.deps = replace(story.deps, subscribers=(Subscriber(name="status", url="https://status.example.com", secrets=()),))
    for namespace in NAMESPACES:
        _notify(story, namespace)
    assert sorted(each.content.namespace for each in story.claim("webhook")) == sorted(NAMESPACES)


def test_after_resolve_the_key_is_free_in_its_namespace_and_taken_in_others(story: Story) -> None:
    first = {namespace: _notify(story, namespace).incident_id for namespace in NAMESPACES}
    resolve(story.deps, KEY, by="ops", via="api", namespace="prometheus")
    again = {namespace: _notify(story, namespace) for namespace in NAMESPACES}
    assert {namespace for namespace, each in again.items() if each.is_new} == {"prometheus"}
    assert {namespace for namespace, each in again.items() if each.incident_id != first[namespace]} == {"prometheus"}


def test_the_operations_incident_stands_in_the_reserved_namespace(story: Story) -> None:
    story.respond("email", REFUSED)
    _notify(story, "prometheus", severity=Severity.CRITICAL)
    story.deliver()
    assert _status(story, "prometheus").escalations[0].facts.state is EscalationState.EXHAUSTED
    found = story.store.read(lambda reads: reads.status(operations.KEY))
    assert found is not None
    assert (found.facts.namespace, found.facts.is_operations) == (namespaces.OPERATIONS, True)
    assert _status(story, "prometheus").operations_key == operations.KEY
    acknowledge(story.deps, operations.KEY, by="ops", via="cli")
    taken = story.store.read(partial(lambda reads, **given: reads.status(operations.KEY, **given), namespace="notifyflow"))
    assert taken is not None
    assert taken.facts.state is IncidentState.ACKNOWLEDGED
