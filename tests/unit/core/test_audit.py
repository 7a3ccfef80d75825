"""What the checker says where a database would not let us do the damage."""

from dataclasses import replace

from notifyflow.core.audit import Round, Rule, check_operations, check_round
from tests.facts import NOW, attempt, escalation, incident, page


def test_two_operations_incidents_may_not_be_open_at_once():
    assert list(check_operations([])) == list(check_operations(["a"])) == []
    found = list(check_operations(["a", "b", "c"]))
    assert [(each.rule, each.row_id) for each in found] == [(Rule.OPERATIONS, "b"), (Rule.OPERATIONS, "c")]


def test_two_attempts_may_not_run_at_once():
    attempts = attempt(id="a1", number=1), attempt(id="a2", number=2)
    row = replace(page(), attempts=attempts)
    stood = Round(incident=incident(), escalation=escalation(), notifications=(row,), transitions=())
    assert "has 2 attempts that run at once" in {each.what for each in check_round(stood, now=NOW)}
