"""Pauses, quarantines and outages are read with one statement; a damaged one hides no other."""

from datetime import timedelta

import pytest

from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.storage.dialects.dialect import execute
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import START

_BEGAN, _NOW = START, START + timedelta(minutes=5)


@pytest.mark.parametrize("damaged", ["notifyflow_outage", "notifyflow_pause"])
def test_a_damaged_interval_hides_no_other(store: Store, damaged: str) -> None:
    pause = Pause(scope=PauseScope.ALL, name="", ends_at=START + timedelta(hours=1), paused_at=_BEGAN, paused_by="ada")

    def begin(ledger: Ledger) -> None:
        ledger.intervals.put_pause(pause)
        ledger.intervals.note_first_sweep(at=_BEGAN)

    def damage(ledger: Ledger) -> None:
        column = "began_at" if damaged == "notifyflow_outage" else "paused_at"
        execute(ledger._unit.db, f"UPDATE {damaged} SET {column} = '-infinity'")

    store.run(begin)
    store.run(damage)
    paused, outages = store.run(
        lambda ledger: (ledger.intervals.of("i", since=_BEGAN, now=_NOW), ledger.intervals.outages(since=_BEGAN, now=_NOW))
    )
    assert [each.began_at for each in paused] == ([_BEGAN] if damaged == "notifyflow_outage" else [])
    assert [each.began_at for each in outages] == ([] if damaged == "notifyflow_outage" else [_BEGAN])
