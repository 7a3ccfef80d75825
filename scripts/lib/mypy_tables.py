"""A plugin of mypy that knows the columns which a table takes from the value that it stores (``Table``).

A column has the type ``peewee.Field``; a name that is neither in the value nor in the table is an error, as it is elsewhere.
"""

from collections.abc import Callable

from mypy.nodes import ClassDef, RefExpr, SetExpr, StrExpr, TypeInfo, Var
from mypy.plugin import ClassDefContext, Plugin
from mypy.plugins.common import add_attribute_to_class
from mypy.types import AnyType, TypeOfAny

_TABLE = "notifyflow.storage.tables.table.Table"


class TablesPlugin(Plugin):
    """Looks at the classes below ``Table``."""

    def get_base_class_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        """Return what mypy calls for each table."""
        return _add_columns if fullname == _TABLE else None


def _add_columns(table: ClassDefContext) -> None:
    """Add the columns that a table takes from its value, and does not declare itself."""
    value = table.cls.keywords.get("stores")
    if not isinstance(value, RefExpr) or not isinstance(value.node, TypeInfo):
        return
    column = table.api.named_type("peewee.Field", [AnyType(TypeOfAny.explicit)])
    for name in value.node.names.keys() - table.cls.info.names.keys() - _without(table.cls):
        if isinstance(value.node.names[name].node, Var) and not name.startswith("_"):
            add_attribute_to_class(table.api, table.cls, name, column)


def _without(table: ClassDef) -> set[str]:
    """Return the fields of the value that have no column, as the table says."""
    names = table.keywords.get("without")
    return {each.value for each in names.items if isinstance(each, StrExpr)} if isinstance(names, SetExpr) else set()


def plugin(version: str) -> type[Plugin]:
    """Return the plugin; mypy calls this with its version."""
    return TablesPlugin
