"""Stores users and their sessions; changing a user ends all their sessions."""

from collections.abc import Callable
from datetime import datetime

from notifyflow.core.accounts.users import Session, User
from notifyflow.errors import SetupOver, UserExists, UserNotFound
from notifyflow.pipeline.transaction.ports import Transactions
from notifyflow.storage.ledger import Ledger


def add(transactions: Transactions, user: User) -> None:
    """Store a new user, and void the links for making the first one.

    Raises:
        UserExists: When the name is taken.
    """

    def body(ledger: Ledger) -> None:
        if not ledger.users.add(user):
            raise UserExists(user.name)
        ledger.users.end_setups()

    transactions.run(body)


def change(transactions: Transactions, name: str, edit: Callable[[User], User]) -> User:
    """Change a user, and end their sessions.

    Args:
        transactions: The database.
        name: The user's name.
        edit: (the stored user) → the changed user.

    Raises:
        UserNotFound: When there is no such user.
    """

    def body(ledger: Ledger) -> User:
        user = edit(_locked(ledger, name))
        ledger.users.change(user)
        ledger.users.end_sessions(user.id)
        return user

    return transactions.run(body)


def remove(transactions: Transactions, name: str) -> User:
    """Delete a user, and end their sessions.

    Raises:
        UserNotFound: When there is no such user.
    """

    def body(ledger: Ledger) -> User:
        user = _locked(ledger, name)
        ledger.users.remove(user.id)
        return user

    return transactions.run(body)


def log_in(transactions: Transactions, name: str, password: str, session: Session, *, replaces: str) -> bool:
    """Begin a session, if the password's hash is still the verified one and the user may log in; return whether.

    Args:
        transactions: The database.
        name: The user's name.
        password: The hash that was verified.
        session: The new session.
        replaces: The digest of the browser's earlier session, which ends.
    """

    def body(ledger: Ledger) -> bool:
        user = ledger.users.lock(name)
        if user is None or user.password != password or user.disabled_at is not None:
            return False
        ledger.users.prune(now=session.created_at)
        ledger.users.note_login(user.id, at=session.created_at)
        ledger.users.end_session(replaces)
        ledger.users.begin_session(session)
        return True

    return transactions.run(body)


def log_out(transactions: Transactions, digest: str) -> str | None:
    """End a session; return its user's id, or None if there is no such session."""
    return transactions.run(lambda ledger: ledger.users.end_session(digest))


def prune(transactions: Transactions, *, now: datetime) -> None:
    """Delete expired sessions and expired links."""
    transactions.run(lambda ledger: ledger.users.prune(now=now))


def note_use(transactions: Transactions, digest: str, *, now: datetime) -> None:
    """Note a session's last use."""
    transactions.run(lambda ledger: ledger.users.note_use(digest, at=now))


def offer_setup(transactions: Transactions, digest: str, *, expires_at: datetime, now: datetime) -> bool:
    """Store a link for making the first user, unless there is a user; return whether it was stored."""

    def body(ledger: Ledger) -> bool:
        if ledger.users.has_any():
            return False
        ledger.users.prune(now=now)
        ledger.users.add_setup(digest, expires_at=expires_at)
        return True

    return transactions.run(body)


def set_up(transactions: Transactions, digest: str, user: User, session: Session) -> None:
    """Store the first user, and begin their session.

    Raises:
        SetupOver: When the link is not valid, or a user exists.
    """

    def body(ledger: Ledger) -> None:
        if not ledger.users.take_setup(digest, session.created_at) or ledger.users.has_any():
            raise SetupOver
        ledger.users.add(user)
        ledger.users.end_setups()
        ledger.users.begin_session(session)

    transactions.run(body)


def _locked(ledger: Ledger, name: str) -> User:
    user = ledger.users.lock(name)
    if user is None:
        raise UserNotFound(name)
    return user
