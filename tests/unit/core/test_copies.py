"""Copies with changes are what ``dataclasses.replace`` makes of the same value."""

import dataclasses
from dataclasses import dataclass

import pytest

from notifyflow.core.copies import made_of, replace
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts, StepFacts
from notifyflow.core.delivery.model import Incident


@dataclass(frozen=True)
class Open:
    """Has no slots."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Lone:
    only: int


FACTS = [IncidentFacts, EscalationFacts, NotificationFacts, AttemptFacts, StepFacts]


@pytest.mark.parametrize("facts", FACTS)
def test_each_field_of_a_row_can_be_changed(facts: type) -> None:
    names = [field.name for field in dataclasses.fields(facts)]
    row = facts(**{name: f"the row's {name}" for name in names})
    assert replace(row) == row
    for name in names:
        changed = replace(row, **{name: "new"})
        assert type(changed) is facts
        assert changed == dataclasses.replace(row, **{name: "new"})
        assert getattr(row, name) == f"the row's {name}"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(changed, name, "newer")


@pytest.mark.parametrize("facts", FACTS)
def test_a_row_is_made_of_its_values_as_by_its_constructor(facts: type) -> None:
    values = {field.name: f"the row's {field.name}" for field in dataclasses.fields(facts)}
    assert made_of(facts, dict(values)) == facts(**values)
    assert repr(made_of(facts, dict(values))) == repr(facts(**values))


def test_what_its_constructor_does_is_done() -> None:
    labels = {"env": "prod"}
    changed = replace(Incident(key="db", title="t"), labels=labels)
    labels["env"] = "test"
    assert changed.labels == {"env": "prod"}


def test_values_without_slots_and_with_one_field_are_copied() -> None:
    assert replace(Open(1, 2), second=3) == Open(1, 3)
    assert replace(Lone(1), only=2) == Lone(2)
