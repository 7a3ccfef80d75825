"""Every writing transaction begins in pipeline/, and every write of a machine's row goes through the unit of work."""

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from notifyflow.storage.session import unit_of_work
from notifyflow.storage.session.rows import MODELS
from tests.columns import PACKAGE, sources

STORES = ("store", "transactions")


def transactions_begun(tree: ast.AST) -> Iterator[int]:
    """Find where ``run`` or ``join`` of a store is named, whether it is called there or passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("run", "join"):
            receiver = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if receiver.lstrip("_") in STORES:
                yield node.lineno


def test_only_the_pipeline_begins_a_transaction_that_writes() -> None:
    begun = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sources()
        for line in transactions_begun(ast.parse(path.read_text()))
        if path.relative_to(PACKAGE).parts[0] != "pipeline"
    }
    assert begun == set()


def test_a_transaction_is_found_whether_it_is_run_at_once_or_passed_on() -> None:
    assert sorted(
        transactions_begun(
            ast.parse("self._store.run(body)\nrun = deps.transactions.run\nstore.read(body)\nstore.join(mine, body)")
        )
    ) == [1, 2, 4]


def facts_updated(tree: ast.AST) -> Iterator[str]:
    """Name the columns of facts that an UPDATE of a machine's table writes, or of a table that is not named."""
    others = {field.name for facts in MODELS for field in dataclasses.fields(facts)}
    tables = {model.__name__ for model in MODELS.values()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
            model = getattr(node.func.value, "id", "")
            if model in tables or not model.endswith("Row"):
                yield from (each.arg for each in node.keywords if each.arg in others)


def test_only_the_unit_of_work_writes_the_facts_of_a_machine() -> None:
    of_unit = Path(unit_of_work.__file__)
    parts = [path for path in sources("storage") if path != of_unit]
    assert {str(path): found for path in parts if (found := list(facts_updated(ast.parse(path.read_text()))))} == {}
    assert list(facts_updated(ast.parse(of_unit.read_text()))) == ["rung_at"]
