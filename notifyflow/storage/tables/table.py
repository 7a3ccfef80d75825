"""The base of all tables."""

import re

from peewee import Model


def _name(model: type[Model]) -> str:
    return "notifyflow" + re.sub("([A-Z])", r"_\1", model.__name__.removesuffix("Row")).lower()


class Table(Model):
    """A table, named for its class; that a key is unique is a matter of the migrations, unless it is one column."""

    class Meta:
        primary_key = False
        table_function = _name
