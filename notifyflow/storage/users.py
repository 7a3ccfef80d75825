"""Reads and writes users, their sessions, and the links for making the first user."""

from datetime import datetime
from typing import Any

from notifyflow.core.accounts.users import IDLE_FOR, VALID_FOR, Session, User
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader, first
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import SessionRow, SetupRow, UserRow

_USER = tuple(User.__dataclass_fields__)
_SESSION = tuple(Session.__dataclass_fields__)
_USERS = UserRow.select(*(getattr(UserRow, name) for name in _USER))
_VISIT = Statement(
    lambda param: (
        SessionRow.select(
            *(getattr(SessionRow, name).alias(f"session_{name}") for name in _SESSION),
            *(getattr(UserRow, name) for name in _USER),
        )
        .join(UserRow, on=(UserRow.id == SessionRow.user_id))
        .where(SessionRow.digest == param(SessionRow.digest))
    )
)


class UserReads(Reader):
    """Reads users and sessions."""

    def all(self) -> tuple[User, ...]:
        """Read all users, by name."""
        return tuple(User(**row) for row in self._source.readable(_USERS.order_by(UserRow.name), UserRow.id))

    def named(self, name: str) -> User | None:
        """Return the user with a name, or None."""
        return _user(first(self._source.rows(_USERS.where(UserRow.name == name))))

    def has_any(self) -> bool:
        """Return whether there is a user."""
        return self._source.first(UserRow.select(UserRow.id)) is not None

    def session(self, digest: str) -> tuple[Session, User] | None:
        """Return a session and its user, or None."""
        row = first(self._source.rows(_VISIT(digest)))
        if row is None:
            return None
        session = Session(**{name: row.pop(f"session_{name}") for name in _SESSION})
        return session, User(**row)

    def is_setup(self, digest: str, now: datetime) -> bool:
        """Return whether a link for making the first user is valid."""
        return _is_setup(self._source.first(SetupRow.select(SetupRow.expires_at).where(SetupRow.digest == digest)), now)


class Users(Repository):
    """Users, their sessions, and the links for making the first user."""

    def add(self, user: User) -> bool:
        """Store a new user; return False if the name is taken."""
        return self._unit.insert_once(UserRow, {name: getattr(user, name) for name in _USER})

    def lock(self, name: str) -> User | None:
        """Lock and read a user, or return None."""
        return _user(first(self._unit.rows(self._unit.locked(_USERS.where(UserRow.name == name)))))

    def has_any(self) -> bool:
        """Return whether there is a user."""
        return self._unit.first(UserRow.select(UserRow.id)) is not None

    def change(self, user: User) -> None:
        """Write a locked user."""
        row = {name: getattr(user, name) for name in _USER}
        self._unit.execute(UserRow.update(row).where(UserRow.id == user.id))

    def note_login(self, user_id: str, *, at: datetime) -> None:
        """Note when a user logged in."""
        self._unit.execute(UserRow.update(logged_in_at=at).where(UserRow.id == user_id))

    def remove(self, user_id: str) -> None:
        """Delete a user, with their sessions."""
        self.end_sessions(user_id)
        self._unit.execute(UserRow.delete().where(UserRow.id == user_id))

    def begin_session(self, session: Session) -> None:
        """Store a new session."""
        self._unit.insert(SessionRow, [{name: getattr(session, name) for name in _SESSION}])

    def note_use(self, digest: str, *, at: datetime) -> None:
        """Note when a session was used."""
        self._unit.execute(SessionRow.update(used_at=at).where(SessionRow.digest == digest))

    def end_session(self, digest: str) -> str | None:
        """Delete a session; return its user's id, or None if there is no such session."""
        row = self._unit.first(SessionRow.select(SessionRow.user_id).where(SessionRow.digest == digest))
        self._unit.execute(SessionRow.delete().where(SessionRow.digest == digest))
        return None if row is None else str(row["user_id"])

    def end_sessions(self, user_id: str) -> None:
        """Delete all sessions of a user."""
        self._unit.execute(SessionRow.delete().where(SessionRow.user_id == user_id))

    def add_setup(self, digest: str, *, expires_at: datetime) -> None:
        """Store a link for making the first user."""
        self._unit.insert(SetupRow, [{"digest": digest, "expires_at": expires_at}])

    def take_setup(self, digest: str, now: datetime) -> bool:
        """Lock all links for making the first user, so that only one is used; return whether this one is valid."""
        links = self._unit.rows(self._unit.locked(SetupRow.select().order_by(SetupRow.digest)))
        return any(_is_setup(row, now) for row in links if row["digest"] == digest)

    def end_setups(self) -> None:
        """Delete all links for making the first user."""
        self._unit.execute(SetupRow.delete())

    def prune(self, *, now: datetime) -> None:
        """Delete expired sessions and expired links."""
        self._unit.execute(SetupRow.delete().where(SetupRow.expires_at <= now))
        self._unit.execute(
            SessionRow.delete().where((SessionRow.used_at <= now - IDLE_FOR) | (SessionRow.created_at <= now - VALID_FOR))
        )


def _user(row: Any) -> User | None:
    return None if row is None else User(**row)


def _is_setup(row: Any, now: datetime) -> bool:
    return row is not None and now < row["expires_at"]
