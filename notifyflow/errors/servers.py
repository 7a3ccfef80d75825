"""Errors of the database, the broker, ports and programs."""

from notifyflow.errors.root import NotifyflowError


class StorageError(NotifyflowError):
    """Raised when the database cannot be used."""


class StorageUnavailable(StorageError):
    """Raised when the database does not answer in time; the request can be repeated.

    Attributes:
        waited_s: How long the process tried, in seconds.
        reason: The cause; holds nothing personal. Empty if it is unknown.
        is_refused: Whether the server responds, and lets nobody in with these settings: it does not help to wait.
        is_known: Whether nothing was tried, since the server is known to be away; the log has said so.
    """

    is_known = False

    def __init__(self, waited_s: float, reason: str = "", *, file: str = "", remedy: str = "", is_refused: bool = False) -> None:
        because = f" ({reason})" if reason else ""
        what = f"the database file {file} could not be used" if file else "the database did not answer"
        remedy = remedy or "Look at NOTIFYFLOW_DATABASE_URL and the server"
        in_time = f" within {waited_s:g} s" if waited_s else ""
        if is_refused:
            what, in_time = "the database cannot be used", ""
        super().__init__(f"{what}{in_time}{because}. {remedy}.")
        self.waited_s = waited_s
        self.reason = reason
        self.is_refused = is_refused
        self._file, self._remedy = file, remedy

    def after(self, waited_s: float) -> "StorageUnavailable":
        """Return the error of a call that waited longer than the last of its tries."""
        return StorageUnavailable(waited_s, self.reason, file=self._file, remedy=self._remedy, is_refused=self.is_refused)


class CommitUnknown(StorageUnavailable):
    """Raised when the response to a commit was lost: it may or may not have been done.

    Attributes:
        result: What the use case returned; it stands if the commit was done.
    """

    def __init__(self, waited_s: float, result: object) -> None:
        super().__init__(waited_s, "the connection broke during the commit, which may have been done")
        self.result = result


class SchemaMismatch(StorageError):
    """Raised when the database's schema is too old or too new for this code; it was not touched.

    Attributes:
        found: The schema version of the database; 0 if it has none.
        wanted: The schema version of this code.
        oldest: The oldest schema version whose code may still use this database.
    """

    def __init__(self, found: int, wanted: int, oldest: int, remedy: str) -> None:
        super().__init__(f"the database has schema {found}, this notifyflow wants {wanted}. {remedy}")
        self.found = found
        self.wanted = wanted
        self.oldest = oldest


class UnreleasedSchema(StorageError):
    """Raised when the database was made by an unreleased version and cannot be upgraded; it was not touched."""

    def __init__(self) -> None:
        super().__init__(
            "the database was made by an unreleased version of notifyflow, and before 0.1.0 there are no upgrades: start with an "
            "empty one (move the SQLite file away, or name another file or PostgreSQL database in NOTIFYFLOW_DATABASE_URL)."
        )


class WrongEnvironment(StorageError):
    """Raised when the database belongs to another environment than this process; nothing was read or sent.

    Attributes:
        found: The environment of the database; None if it has no name.
        ours: The environment of this process; None if it has no name.
    """

    def __init__(self, found: str | None, ours: str | None) -> None:
        super().__init__(
            f"the database belongs to the environment {found or '(none)'}, and NOTIFYFLOW_ENVIRONMENT says {ours or '(none)'}. "
            "If it is a copy that is yours now, `notifyflow db adopt` takes it over and holds what is unfinished in it."
        )
        self.found = found
        self.ours = ours


class DatabaseInUse(StorageError):
    """Raised when a process still delivers from a database to be adopted; nothing was quarantined.

    Attributes:
        unfinished: How many incidents would be quarantined.
        swept_s: Seconds since its last sweep.
    """

    def __init__(self, unfinished: int, swept_s: int) -> None:
        what = f"{unfinished} unfinished {'incident' if unfinished == 1 else 'incidents'}"
        super().__init__(
            f"a process delivers from this database: it was swept {swept_s} s ago. Nothing was quarantined. Adopting it "
            f"stops every page of {what}. If it is a copy, stop what runs on it and wait a minute, or give --force."
        )
        self.unfinished = unfinished
        self.swept_s = swept_s


class UnsuitableConnection(StorageError):
    """Raised when ``notify()`` cannot store an incident in the transaction of a connection it was given; nothing was stored.

    Attributes:
        reason: What is wrong with the connection or its transaction.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"notify() cannot join the transaction of this connection: {reason}. {remedy}.")
        self.reason = reason


class Refused(StorageError):
    """Raised when the database refuses a statement: a damaged row, a bug of ours, or tables that are not ours.

    Attributes:
        code: The SQLSTATE, or the name of SQLite's result code.
        table: The table that the database names; empty if it names none.
        is_of_row: Whether the values of a row are the reason, rather than the statement or the database.
    """

    def __init__(self, what: str, *, code: str = "", table: str = "", is_of_row: bool = False) -> None:
        super().__init__(f"the database refused a statement: {what}")
        self.code = code
        self.table = table
        self.is_of_row = is_of_row


class UnreadableRow(StorageError):
    """Raised when the values of a row cannot be read: an unknown word, a broken document, an instant beyond the calendar.

    Attributes:
        table: Its table.
        row_id: Its id; empty if it has none.
        column: The column that cannot be read.
        why: The type of the error, whose text may be personal.
    """

    def __init__(self, table: str, row_id: str, column: str, why: str) -> None:
        super().__init__(f"{table} {row_id}: the column {column} cannot be read ({why})")
        self.table = table
        self.row_id = row_id
        self.column = column
        self.why = why


class DamagedIncident(UnreadableRow):
    """Raised when an incident is to be shown or changed whose own row cannot be read or written; nothing was done.

    Its ``column`` is empty if the row cannot be written; ``why`` is then the SQLSTATE, or the name of SQLite's result code.
    """

    def __init__(self, row_id: str, column: str, why: str) -> None:
        super().__init__("incident", row_id, column, why)
        what = f"the column {column} of its row in the table notifyflow_incident cannot be read ({why})"
        remedy = "Mend that value in the database"
        if not column:
            what = f"the database refuses to write its row in the table notifyflow_incident, or what is new with it ({why})"
            remedy = "Look for a trigger, a constraint, a damaged page or a version that was set back, and mend it"
        self.args = (
            f"the incident {row_id} is damaged: {what}. Nothing was done. {remedy}, then run "
            f"`notifyflow status --release {row_id}`; `notifyflow check` finds what else is damaged.",
        )


class Contended(StorageUnavailable):
    """Raised when a transaction collided with others as often as it may, before its time was over; nothing was stored.

    Attributes:
        code: The SQLSTATE, or the name of SQLite's result code; empty if it found a row changed.
        table: The table of the row, if it is known.
        row_id: The row that it found changed, if it is known.
        is_of_row: Whether values that are stored are in its way, rather than the locks of others.
    """

    def __init__(
        self, waited_s: float, reason: str, *, code: str = "", table: str = "", row_id: str = "", is_of_row: bool = False
    ) -> None:
        super().__init__(waited_s, reason)
        self.code = code
        self.table = table
        self.row_id = row_id
        self.is_of_row = is_of_row


class StaleRow(StorageError):
    """Raised when a guarded update matched no row, since another process moved it first; the use case is repeated."""

    def __init__(self, table: str, row_id: str) -> None:
        super().__init__(f"{table} {row_id} was moved by another process")
        self.table = table
        self.row_id = row_id


class BrokerUnavailable(NotifyflowError):
    """Raised when the broker accepts no ring; the rows are stored, and the sweeper rings later."""


class ProgramMissing(NotifyflowError):
    """Raised when a program that is needed is not installed."""

    def __init__(self, program: str, remedy: str) -> None:
        super().__init__(f"the program {program!r} is not installed. {remedy}.")
        self.program = program


class PortUnavailable(NotifyflowError):
    """Raised when a server cannot listen on its port."""

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"nothing can listen on port {port}: {reason}. Use another with --port; 0 picks a free one.")
        self.port = port
