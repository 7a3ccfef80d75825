"""What a process finds of others when it starts."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from notifyflow import NotifyFlow, Settings
from notifyflow.app.others import Others, observe
from notifyflow.cli.frame import screen
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import HandClock
from tests.facts import LEASE, NOW
from tests.integration.storage.samples import a_page, begin, claim
from tests.log_lines import capture_logs

SOON = NOW + timedelta(seconds=9)


def test_an_empty_database_has_no_others(store: Store) -> None:
    assert observe(store, NOW) == Others(is_recent=False, sends=0, leases_end_in_s=0)


def test_sends_without_an_outcome_are_counted_until_the_last_lease_ends(store: Store) -> None:
    begin(store, *(a_page(number) for number in (1, 2, 3)))

    def body(ledger: Ledger) -> None:
        first, second, _ = ledger.work.claim("email", (), now=NOW, limit=10).rows
        claim(ledger, first, lease_until=NOW + LEASE)
        claim(ledger, second, lease_until=NOW + LEASE / 2)

    store.run(body)
    in_s = int(LEASE.total_seconds())
    assert observe(store, NOW) == Others(is_recent=False, sends=2, leases_end_in_s=in_s)
    assert observe(store, SOON) == Others(is_recent=False, sends=2, leases_end_in_s=in_s - 9)
    assert observe(store, NOW + LEASE * 2) == Others(is_recent=False, sends=2, leases_end_in_s=0)
    store.run(lambda ledger: ledger.adoption.quarantine_unfinished(at=NOW))
    assert observe(store, NOW).sends == 0


def test_a_process_that_swept_within_the_last_ten_seconds_may_still_run(store: Store) -> None:
    store.run(lambda ledger: ledger.intervals.note_first_sweep(at=NOW))
    assert observe(store, SOON).is_recent
    assert not observe(store, SOON + timedelta(seconds=1)).is_recent


def test_a_worker_logs_at_its_start_what_an_earlier_one_has_left(store: Store, database_url: str) -> None:
    begin(store, a_page())
    store.run(lambda ledger: claim(ledger, ledger.work.claim("email", (), now=NOW, limit=1).rows[0]))
    settings = Settings(database_url=SecretStr(database_url), broker_url=SecretStr("redis://127.0.0.1:1"))
    with NotifyFlow(settings, clock=HandClock(NOW)) as flow, capture_logs() as lines:
        flow.make_worker()
    found = {"event": "app.sends_unfinished", "sends": 1, "leases_end_in_s": int(LEASE.total_seconds()), "log_level": "info"}
    assert found in lines


@pytest.mark.parametrize(
    ("others", "shown"),
    [
        (None, ""),
        (Others(is_recent=True, sends=0, leases_end_in_s=0), ""),
        (
            Others(is_recent=False, sends=3, leases_end_in_s=41),
            "! 3 sends of an earlier process without an outcome: tried again when the lease ends, in at most 41 s.\n",
        ),
        (
            Others(is_recent=True, sends=1, leases_end_in_s=7),
            "! 1 send of another process without an outcome: tried again when the lease ends, in at most 7 s, "
            "unless that process still runs.\n",
        ),
    ],
)
def test_it_is_said_what_is_waited_for(others: Others | None, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_unfinished(others)
    assert capsys.readouterr().err == shown
