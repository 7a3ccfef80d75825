"""The base of all tables."""

import re

from peewee import Model


def _name(model: type[Model]) -> str:
    return "notifyflow" + re.sub("([A-Z])", r"_\1", model.__name__.removesuffix("Row")).lower()


class Table(Model):
    """A table, named for its class. The migrations make keys unique, except a key of one column."""

    class Meta:
        primary_key = False
        table_function = _name
