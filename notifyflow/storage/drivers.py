"""Which drivers of databases a process loads."""

import sys
from importlib import import_module


def load(database_url: str) -> None:
    """Import Peewee; for a file, as where psycopg is not installed, since to load that takes a sixth of a short command's time.

    Call it in a process of ours alone, before anything of storage is imported: an application's own Peewee may need psycopg.
    """
    if not database_url.startswith("sqlite:") or "psycopg" in sys.modules:
        return
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # its import fails (The Python Language Reference, 5.3.1)
    try:
        import_module("peewee")
    finally:
        del sys.modules["psycopg"]
