"""A provider's event stands once in the inbox, and waits there until it is settled."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import Evidence, Receipt, Result
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW
from tests.integration.storage.samples import LATER, a_page, begin, claim

RECEIPT = Receipt(
    provider="twilio",
    event_id="SM1:delivered",
    result=Result.DELIVERED,
    attempt_id="n1-a1",
    provider_ref="SM1",
    evidence=Evidence.DEVICE,
    code="0",
    reason="delivered",
    is_acknowledgement=True,
    is_key_press=True,
)
NOTED = Receipt(provider="twilio", event_id="SM1:queued", result=None, provider_ref="SM1")


def _add(store: Store, receipt: Receipt) -> bool:
    return store.run(lambda ledger: ledger.inbox.add(receipt, raw="SmsStatus=delivered", at=NOW))


def _stale(store: Store) -> tuple[Receipt, ...]:
    return store.run(lambda ledger: ledger.inbox.stale(before=LATER, limit=10))


def test_an_event_is_new_once(store: Store) -> None:
    assert _add(store, RECEIPT)
    assert not _add(store, replace(RECEIPT, code="7"))
    assert _add(store, replace(RECEIPT, provider="ses"))
    assert _add(store, replace(RECEIPT, event_id="SM1:failed"))


def test_a_receipt_comes_back_whole(store: Store) -> None:
    _add(store, RECEIPT)
    _add(store, NOTED)
    assert set(_stale(store)) == {RECEIPT, NOTED}


def test_what_waits_for_a_providers_id_is_found_by_it(store: Store) -> None:
    _add(store, NOTED)
    _add(store, replace(NOTED, provider="ses"))
    _add(store, replace(NOTED, event_id="SM2", provider_ref="SM2"))
    assert store.run(lambda ledger: ledger.inbox.waiting(["twilio"], ["SM1"])) == (NOTED,)


def test_an_event_with_an_id_longer_than_any_index_is_kept_once_and_found(store: Store) -> None:
    endless = "".join(chr(0x4E00 + number) for number in range(9000))
    receipt = replace(NOTED, event_id=endless, provider_ref=endless)
    assert _add(store, receipt)
    assert not _add(store, receipt)
    (found,) = store.run(lambda ledger: ledger.inbox.waiting(["twilio"], [endless]))
    store.run(lambda ledger: ledger.inbox.match([(found, None)]))
    assert _stale(store) == ()


def test_a_number_that_is_none_may_say_stop_too(store: Store) -> None:
    theirs = "".join(chr(0x4E00 + number) for number in range(9000))
    store.run(lambda ledger: ledger.replies.opt_out("+1", theirs, at=NOW))
    assert store.run(lambda ledger: ledger.replies.opt_outs(theirs, ["+1"])) == {"+1"}


def test_a_settled_receipt_waits_no_more(store: Store) -> None:
    begin(store, a_page())
    _add(store, RECEIPT)
    _add(store, NOTED)

    def handle(ledger: Ledger) -> tuple[bool, ...]:
        claim(ledger, ledger.notifications.lock("n1"))
        return ledger.inbox.match([(RECEIPT, "n1-a1")])

    assert store.run(handle) == (True,)
    assert store.run(lambda ledger: ledger.inbox.match([(RECEIPT, None)])) == (False,)
    assert _stale(store) == (NOTED,)
    store.run(lambda ledger: ledger.inbox.match([(NOTED, None)]))
    assert _stale(store) == ()
    assert not _add(store, NOTED)


def test_only_old_receipts_are_stale_the_oldest_first(store: Store) -> None:
    for minutes in (2, 0, 1):
        receipt = replace(NOTED, event_id=str(minutes))
        at = NOW + timedelta(minutes=minutes)
        store.run(lambda ledger, receipt=receipt, at=at: ledger.inbox.add(receipt, raw="", at=at))
    stale = store.run(lambda ledger: ledger.inbox.stale(before=NOW + timedelta(minutes=2), limit=10))
    assert [receipt.event_id for receipt in stale] == ["0", "1"]


@pytest.mark.parametrize(
    ("provider", "reference", "minutes", "is_missed"),
    [
        ("twilio", "SM1", 0, True),
        ("twilio", "SM1", 50, False),
        ("twilio", "SM1", 99, True),
        ("twilio", "SM2", 0, False),
        ("ses", "SM1", 0, False),
    ],
)
def test_what_waits_though_its_attempt_is_known_was_missed(
    store: Store, provider: str, reference: str, minutes: int, is_missed: bool
) -> None:
    begin(store, a_page())
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n1"), provider=provider, provider_ref=reference))
    _add(store, NOTED)
    now = NOW + timedelta(minutes=minutes)
    since, before = now - timedelta(minutes=2), now - timedelta(hours=1)
    missed = store.run(lambda ledger: ledger.inbox.missed(since=since, before=before, limit=10))
    assert missed == ((NOTED,) if is_missed else ())
    assert (NOTED in _stale(store)) == ((provider, reference) != ("twilio", "SM1"))
