"""Statements are built once, and say in any database what Peewee would have said."""

from typing import Any

from peewee import fn

from notifyflow.core.delivery.model import Result
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.store import Store
from notifyflow.storage.tables import ReceiptRow
from tests.facts import NOW
from tests.integration.storage.delivery.test_inbox import NOTED, RECEIPT
from tests.integration.storage.samples import LATER

COLUMNS = (ReceiptRow.event_id, ReceiptRow.result.alias("said"), ReceiptRow.received_at, ReceiptRow.is_key_press)


def test_a_statement_is_built_once_and_run_with_other_values(store: Store) -> None:
    built: list[Parameters] = []

    def build(param: Parameters) -> Any:
        built.append(param)
        return ReceiptRow.select(*COLUMNS).where(ReceiptRow.event_id == param(ReceiptRow.event_id), ReceiptRow.code != "9")

    statement = Statement(build)

    def query(ledger: Ledger) -> list[list[dict[str, Any]]]:
        for receipt in (RECEIPT, NOTED):
            ledger.inbox.add(receipt, raw="raw", at=NOW)
        return [ledger._unit.rows(statement(each)) for each in (RECEIPT.event_id, NOTED.event_id, "none")]

    (delivered,), (queued,), none = store.run(query)
    assert delivered == {"event_id": RECEIPT.event_id, "said": Result.DELIVERED, "received_at": NOW, "is_key_press": True}
    assert queued == {"event_id": NOTED.event_id, "said": None, "received_at": NOW, "is_key_press": False}
    assert none == []
    assert len(built) == 1


def test_a_statement_that_finds_one_value_reads_it_as_its_column(store: Store) -> None:
    statement = Statement(
        lambda param: ReceiptRow.select(fn.MAX(ReceiptRow.received_at)).where(ReceiptRow.event_id == param(ReceiptRow.event_id)),
        columns=(ReceiptRow.received_at,),
    )
    empty = Statement(lambda param: ReceiptRow.select(ReceiptRow.code).where(ReceiptRow.event_id == param(ReceiptRow.event_id)))

    def query(ledger: Ledger) -> list[Any]:
        ledger.inbox.add(RECEIPT, raw="raw", at=NOW)
        return [ledger._unit.scalar(each) for each in (statement(RECEIPT.event_id), statement("none"), empty("none"))]

    assert store.run(query) == [NOW, None, None]


def test_a_statement_reads_counts_as_they_are_and_extremes_as_their_columns(store: Store) -> None:
    statement = Statement(
        lambda param: ReceiptRow.select(
            fn.COUNT(ReceiptRow.received_at).alias("receipts"), fn.MIN(ReceiptRow.received_at).alias("first_at")
        ).where(ReceiptRow.received_at <= param(ReceiptRow.received_at))
    )

    def query(ledger: Ledger) -> list[dict[str, Any]]:
        for receipt, at in ((RECEIPT, NOW), (NOTED, LATER)):
            ledger.inbox.add(receipt, raw="raw", at=at)
        return ledger._unit.rows(statement(LATER))

    assert store.run(query) == [{"receipts": 2, "first_at": NOW}]


def test_a_statement_takes_any_number_of_values_as_one_list(store: Store) -> None:
    query = ReceiptRow.select(ReceiptRow.event_id).order_by(ReceiptRow.event_id)
    statement = Statement(
        lambda param: query.where(param.any_of(ReceiptRow.event_id), ReceiptRow.received_at <= param(ReceiptRow.received_at))
    )

    def fetch(ledger: Ledger) -> list[list[str]]:
        for receipt in (RECEIPT, NOTED):
            ledger.inbox.add(receipt, raw="raw", at=NOW)
        both = [RECEIPT.event_id, NOTED.event_id]
        return [[row["event_id"] for row in ledger._unit.rows(statement(some, NOW))] for some in (both, both[:1], ["none"], [])]

    assert store.run(fetch) == [sorted([RECEIPT.event_id, NOTED.event_id]), [RECEIPT.event_id], [], []]


def test_a_statement_tells_how_many_rows_it_wrote_as_their_columns_write_them(store: Store) -> None:
    statement = Statement(
        lambda param: ReceiptRow.update({"result": param(ReceiptRow.result), "code": param(ReceiptRow.code)}).where(
            ReceiptRow.received_at <= param(ReceiptRow.received_at)
        )
    )

    def write(ledger: Ledger) -> tuple[int, tuple[Any, ...]]:
        for receipt in (RECEIPT, NOTED):
            ledger.inbox.add(receipt, raw="raw", at=NOW)
        return statement(Result.PERMANENT_FAILURE, "nul\0", NOW).execute(ledger._unit.db), ledger.inbox.stale(
            before=LATER, limit=10
        )

    count, found = store.run(write)
    assert count == 2
    assert {(each.result, each.code) for each in found} == {(Result.PERMANENT_FAILURE, "nul\N{REPLACEMENT CHARACTER}")}
