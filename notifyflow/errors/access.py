"""Errors of access: links, API keys and the limits of a key, users and their sessions."""

from notifyflow.errors.root import NotifyflowError


class InvalidLink(NotifyflowError):
    """Raised when an acknowledgement link was not signed by us, was changed, or has expired.

    Attributes:
        is_expired: Whether we signed it, and it is too old.
    """

    def __init__(self, *, is_expired: bool) -> None:
        super().__init__("the link has expired" if is_expired else "the link is not one of ours")
        self.is_expired = is_expired


class AccessDenied(NotifyflowError):
    """Raised when an API key does not allow a request."""


class InvalidApiKey(AccessDenied):
    """Raised when an API key is missing, wrong, revoked or expired.

    Attributes:
        why: What is wrong with it: ``has expired``.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"the API key {why}")
        self.why = why


class MissingScope(AccessDenied):
    """Raised when an API key is valid, but does not have the required scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"the API key lacks the scope {scope}")
        self.scope = scope


class OtherHeartbeat(AccessDenied):
    """Raised when an API key pings for another job than its own, whether there is one or not."""

    def __init__(self) -> None:
        super().__init__("the API key is for the heartbeat of another job")


class TooManyRequests(AccessDenied):
    """Raised when an API key is used more often than its limit allows.

    Attributes:
        retry_after_s: How long to wait, in whole seconds; at least 1.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests with this API key; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class TooManyTests(NotifyflowError):
    """Raised when a person was sent a test within the last minute; nothing was sent.

    Attributes:
        retry_after_s: How long to wait, in whole seconds; at least 1.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"the last test was sent less than a minute ago. Send another one in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class TooManyAddresses(NotifyflowError):
    """Raised when a request has too many addresses that the directory does not know; nothing was stored.

    Attributes:
        count: How many unknown addresses the request has.
        a_minute: How many are accepted in a minute.
        retry_after_s: How long to wait, in whole seconds; at least 1.
    """

    def __init__(self, count: int, a_minute: int, retry_after_s: int) -> None:
        what = "1 address" if count == 1 else f"{count} addresses"
        remedy = f"Wait {retry_after_s} s" if count <= a_minute else "Send fewer at once"
        super().__init__(
            f"the request has {what} that the directory does not know; a namespace may submit {a_minute} a minute "
            f"(NOTIFYFLOW_UNKNOWN_ADDRESSES_A_MINUTE). {remedy}, or add the recipients to the directory."
        )
        self.count = count
        self.a_minute = a_minute
        self.retry_after_s = retry_after_s


class ApiKeyNotFound(NotifyflowError):
    """Raised when there is no such API key."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no API key {key_id!r}. `notifyflow keys list` shows those there are.")
        self.key_id = key_id


class ApiKeyRevoked(NotifyflowError):
    """Raised when a revoked API key is to be rotated; nothing was done."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the API key {key_id!r} was revoked. Make a new one with `notifyflow keys create`.")
        self.key_id = key_id


class NotLoggedIn(NotifyflowError):
    """Raised when a page of the dashboard is requested without a valid session."""

    def __init__(self) -> None:
        super().__init__("nobody is logged in, or the session is over")


class LoginRefused(NotifyflowError):
    """Raised when a name and a password do not belong together; which of them is wrong is not said."""

    def __init__(self) -> None:
        super().__init__("the name or the password is wrong")


class TooManyLogins(NotifyflowError):
    """Raised when somebody tries to log in too often; the password was not looked at.

    Attributes:
        retry_after_s: How long to wait, in whole seconds; at least 1.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many attempts to log in; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class SetupOver(NotifyflowError):
    """Raised when a link cannot make the first user: it was used, it is older than an hour, or there is a user."""

    def __init__(self) -> None:
        super().__init__("the link cannot make the first user")


class UserExists(NotifyflowError):
    """Raised when a new user has the name of another one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a user {name!r} already. Choose another name, or change that user.")
        self.name = name


class FeedNotFound(NotifyflowError):
    """Raised when there is no such feed of a calendar, or it was revoked."""

    def __init__(self, feed_id: str) -> None:
        super().__init__(f"there is no feed {feed_id!r}. `notifyflow oncall feed list` shows those there are.")
        self.feed_id = feed_id


class UserNotFound(NotifyflowError):
    """Raised when there is no such user."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no user {name!r}. `notifyflow users list` shows those there are.")
        self.name = name
