"""The users of the dashboard: make and change them, log them in and out, and find the user of a session."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from notifyflow.core.accounts import users as rules
from notifyflow.core.accounts.users import NOTE_USE_EVERY, SETUP_FOR, CurrentUser, Role, Session, User
from notifyflow.core.delivery.ports import Clock, Ids
from notifyflow.errors import Fault, InvalidUser, LoginRefused, NotLoggedIn, SetupOver, TooManyLogins
from notifyflow.log import get_logger
from notifyflow.pipeline import users as stored
from notifyflow.service.accounts.passwords import Passwords
from notifyflow.service.accounts.rate_limits import RateLimits
from notifyflow.storage.store import Store

_log = get_logger("notifyflow.app")

_A_MINUTE_BY_NAME = 10
_A_MINUTE_BY_CLIENT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The secrets that a user's browser keeps after a login.

    Attributes:
        session: The token of the session.
        device: Marks the browser as one in which the user has logged in.
    """

    session: str
    device: str


class Users:
    """The users of one database.

    Args:
        new_secret: Draws the token of a session.
    """

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, new_secret: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._new_secret = new_secret
        self._passwords = Passwords(new_secret)
        self._by_name = RateLimits(clock, _A_MINUTE_BY_NAME)
        self._by_device = RateLimits(clock, _A_MINUTE_BY_NAME)
        self._by_client = RateLimits(clock, _A_MINUTE_BY_CLIENT)

    # Managing users

    def add(
        self,
        name: str,
        role: Role,
        *,
        password: str | None,
        namespaces: Collection[str] | None = None,
        recipient_id: str | None = None,
    ) -> User:
        """Make a user.

        Args:
            name: The name to log in with; stored in lower case.
            role: The user's permissions.
            password: The user's password; None for a user whom only a proxy can log in.
            namespaces: The namespaces whose incidents the user sees; None for all.
            recipient_id: The recipient whom the user is.

        Raises:
            InvalidUser: When the name, the password, a namespace or the recipient is invalid.
            UserExists: When another user has the name.
        """
        user = self._new_user(name, role, password, namespaces=namespaces, recipient_id=recipient_id)
        stored.add(self._store, user)
        _log.info("app.user_added", user_id=user.id, role=role)
        return user

    def change(
        self,
        name: str,
        *,
        role: Role | None = None,
        namespaces: Collection[str] | None = None,
        recipient_id: str | None = None,
    ) -> User:
        """Change a user's permissions; their sessions end. None changes nothing.

        Args:
            name: The user's name.
            role: The user's permissions.
            namespaces: The namespaces whose incidents the user sees; ``*`` for all.
            recipient_id: The recipient whom the user is; empty for none.

        Raises:
            UserNotFound: When there is no such user.
            InvalidUser: When a namespace or the recipient is invalid.
        """
        changed: dict[str, Any] = {}
        if role is not None:
            changed["role"] = role
        if namespaces is not None:
            changed["namespaces"] = rules.reached(namespaces)
        if recipient_id is not None:
            changed["recipient_id"] = recipient_id or None
        _insist(rules.faults(namespaces=changed.get("namespaces") or (), recipient_id=changed.get("recipient_id")))
        return self._change(name, "changed", lambda user: replace(user, **changed))

    def set_password(self, name: str, password: str) -> User:
        """Give a user another password; their sessions end.

        Raises:
            UserNotFound: When there is no such user.
            InvalidUser: When the password is too short or too long.
        """
        _insist(rules.faults(password=password))
        hashed = self._passwords.hash(password)
        return self._change(name, "password", lambda user: replace(user, password=hashed))

    def disable(self, name: str) -> User:
        """Let a user log in no more; their sessions end. Raise ``UserNotFound`` when there is no such user."""
        now = self._clock.now()
        return self._change(name, "disabled", lambda user: replace(user, disabled_at=user.disabled_at or now))

    def enable(self, name: str) -> User:
        """Let a user log in again. Raise ``UserNotFound`` when there is no such user."""
        return self._change(name, "enabled", lambda user: replace(user, disabled_at=None))

    def remove(self, name: str) -> None:
        """Delete a user; their sessions end. Raise ``UserNotFound`` when there is no such user."""
        user = stored.remove(self._store, rules.spell(name))
        _log.info("app.user_removed", user_id=user.id)

    def users(self) -> Sequence[User]:
        """Return all users, by name."""
        return self._store.read(lambda reads: reads.users.all())

    def new_token(self) -> str:
        """Draw a secret of 256 bits."""
        return self._new_secret()

    def now(self) -> datetime:
        """Return the time by which sessions end."""
        return self._clock.now()

    # Logging in

    def log_in(self, name: str, password: str, *, client: str, device: str = "", session: str = "") -> LoggedIn:
        """Begin a session for a user with their password; any fault gives the same error after the same time.

        Args:
            name: The name as typed.
            password: The password as typed.
            client: The address that the request came from.
            device: The browser's token of an earlier login. Its attempts are counted separately, so that nobody can use up those
                of a user, even from the same address.
            session: The token of the browser's earlier session, which ends.

        Raises:
            LoginRefused: When they do not belong together, or the user is disabled or has no password.
            TooManyLogins: When the browser exceeds its limit, or, if it is not known, the name or the client's address.
        """
        spelled = rules.spell(name)
        user = self._store.read(lambda reads: reads.users.named(spelled))
        kept = None if user is None or user.disabled_at is not None else user.password
        self._limit(spelled, client, device if kept and rules.is_device_token(device, kept) else None)
        begun, token = self._new_session(user.id if user else "")
        if (
            not self._passwords.verify(password, kept)
            or kept is None
            or not stored.log_in(self._store, spelled, kept, begun, replaces=rules.digest(session))
        ):
            _log.warning("app.login_refused", user_id=user.id if user else None)
            raise LoginRefused
        _log.info("app.logged_in", user_id=begun.user_id)
        return LoggedIn(session=token, device=rules.device_token(self._new_secret(), kept))

    def log_out(self, token: str) -> None:
        """End a session."""
        if user_id := stored.log_out(self._store, rules.digest(token)):
            _log.info("app.logged_out", user_id=user_id)

    def of_session(self, token: str) -> CurrentUser:
        """Return the user of a session.

        Raises:
            NotLoggedIn: When the session does not exist or is over.
        """
        found = self._store.read(lambda reads: reads.users.session(rules.digest(token))) if token else None
        now = self._clock.now()
        if found is None or found[0].is_over(now) or found[1].disabled_at is not None:
            raise NotLoggedIn
        session, user = found
        if now - session.used_at >= NOTE_USE_EVERY:
            stored.note_use(self._store, session.digest, now=now)
        return user.current

    def of_name(self, name: str) -> CurrentUser:
        """Return the user of a name, which a trusted proxy has verified.

        Raises:
            NotLoggedIn: When there is no such user, or they are disabled.
        """
        spelled = rules.spell(name)
        user = self._store.read(lambda reads: reads.users.named(spelled))
        if user is None or user.disabled_at is not None:
            raise NotLoggedIn
        return user.current

    # The first user

    def offer_setup(self) -> str | None:
        """Return the token of a link for making the first user, valid for an hour; None if there is a user."""
        token, now = self._new_secret(), self._clock.now()
        is_stored = stored.offer_setup(self._store, rules.digest(token), expires_at=now + SETUP_FOR, now=now)
        return token if is_stored else None

    def check_setup(self, token: str) -> None:
        """Check a link for making the first user.

        Raises:
            SetupOver: When it is not valid, or there is a user.
        """
        digest, now = rules.digest(token), self._clock.now()
        if not self._store.read(lambda reads: reads.users.is_setup(digest, now) and not reads.users.has_any()):
            raise SetupOver

    def set_up(self, token: str, name: str, password: str) -> LoggedIn:
        """Make the first user, an admin, and begin their session.

        Raises:
            SetupOver: When the link is not valid, or there is a user.
            InvalidUser: When the name or the password is invalid.
        """
        self.check_setup(token)
        user = self._new_user(name, Role.ADMIN, password)
        session, session_token = self._new_session(user.id)
        stored.set_up(self._store, rules.digest(token), user, session)
        _log.info("app.user_added", user_id=user.id, role=user.role)
        return LoggedIn(session=session_token, device=rules.device_token(self._new_secret(), user.password or ""))

    def _new_user(
        self,
        name: str,
        role: Role,
        password: str | None,
        *,
        namespaces: Collection[str] | None = None,
        recipient_id: str | None = None,
    ) -> User:
        spelled = rules.spell(name)
        _insist(rules.faults(name=spelled, password=password, namespaces=namespaces or (), recipient_id=recipient_id))
        return User(
            id=self._ids.new(),
            name=spelled,
            role=role,
            namespaces=None if namespaces is None else frozenset(namespaces),
            recipient_id=recipient_id,
            password=None if password is None else self._passwords.hash(password),
            created_at=self._clock.now(),
        )

    def _change(self, name: str, what: str, edit: Callable[[User], User]) -> User:
        user = stored.change(self._store, rules.spell(name), edit)
        _log.info("app.user_changed", user_id=user.id, change=what)
        return user

    def _new_session(self, user_id: str) -> tuple[Session, str]:
        token, now = self._new_secret(), self._clock.now()
        return Session(digest=rules.digest(token), user_id=user_id, created_at=now, used_at=now), token

    def _limit(self, name: str, client: str, device: str | None) -> None:
        if device is not None:
            wait_s = self._by_device.consume(device)
        else:  # a name is kept as its digest: it may be long, or a password typed into the wrong field
            wait_s = self._by_client.consume(client) or self._by_name.consume(rules.digest(name))
        if wait_s:
            _log.warning("app.login_limited", wait_s=wait_s)
            raise TooManyLogins(wait_s)


def _insist(faults: Iterable[Fault]) -> None:
    if found := tuple(faults):
        raise InvalidUser(found)
