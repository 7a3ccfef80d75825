"""Selects the database drivers that a process loads."""

import sys
from importlib import import_module


def load(database_url: str) -> None:
    """Import Peewee. For a file, import it without psycopg, whose import takes a sixth of a short command's time.

    Call it in a process of ours alone, before any import of storage: an application's own Peewee may need psycopg.
    """
    if not database_url.startswith("sqlite:") or "psycopg" in sys.modules:
        return
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # its import fails (The Python Language Reference, 5.3.1)
    try:
        import_module("peewee")
    finally:
        del sys.modules["psycopg"]
