"""Errors of access: links, API keys, and the limits of a key."""

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
    """Raised when an API key does not admit a request."""


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


class TooManyRequests(AccessDenied):
    """Raised when an API key is used more often than its limit allows.

    Attributes:
        retry_after_s: How long to wait, in whole seconds; at least 1.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests with this API key; try again in {retry_after_s} s")
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
