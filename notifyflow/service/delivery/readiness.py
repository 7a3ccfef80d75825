"""Finds obstacles to delivery: an unusable database or schema, no sweeper, quarantined incidents."""

from notifyflow.core.delivery.intervals import OUTAGE_AFTER
from notifyflow.core.delivery.ports import Clock
from notifyflow.errors import Fault, SchemaMismatch, StorageError, UnreleasedSchema
from notifyflow.storage.store import Store


def find_faults(store: Store, clock: Clock) -> tuple[Fault, ...]:
    """Find the obstacles to delivery; empty if there are none.

    Returns:
        Faults of ``database``, ``schema`` and ``sweeping``; and of ``quarantine``, where incidents are not sent since the
        database was adopted.
    """
    try:
        store.check_schema()
        swept_at, quarantined = store.read(lambda reads: (reads.swept_at(), reads.adoption.quarantined_count()))
    except SchemaMismatch as error:
        return (Fault("schema", f"it is {error.found}, and this version needs {error.wanted}", "Run `notifyflow db upgrade`"),)
    except UnreleasedSchema:
        return (Fault("schema", "an unreleased version of notifyflow made it", "Start with an empty database"),)
    except StorageError:
        return (Fault("database", "it does not answer", "Look at NOTIFYFLOW_DATABASE_URL and the server"),)
    faults = []
    if swept_at is None or clock.now() - swept_at > OUTAGE_AFTER:
        what = f"no process has swept for more than {OUTAGE_AFTER.seconds} s"
        faults.append(Fault("sweeping", what, "Start a worker, or `notifyflow up`, and look at its log"))
    if quarantined:
        incidents = "incident is" if quarantined == 1 else "incidents are"
        what = f"{quarantined} unfinished {incidents} quarantined since the database was adopted"
        faults.append(Fault("quarantine", what, "Run `notifyflow db adopt --release`, or `--resolve`"))
    return tuple(faults)
