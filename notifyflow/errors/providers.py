"""Errors of calls to providers and of their callbacks."""

from notifyflow.errors.root import NotifyflowError


class ProviderError(NotifyflowError):
    """Raised when a provider did not accept an attempt.

    Attributes:
        code: The provider's own code or HTTP status, as text; empty if it gave none.
        reason: The meaning of the code, from our table; holds nothing personal.
        is_unhealthy: Whether the provider itself is unhealthy.
    """

    is_unhealthy = False

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(f"{reason} ({code})" if code else reason)
        self.code = code
        self.reason = reason


class TemporaryProviderError(ProviderError):
    """Raised when a provider refuses for now, or cannot be reached at all.

    Attributes:
        retry_after_s: Seconds after which it accepts another attempt; None if it did not say.
        is_throttled: Whether it refuses because we send too often.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: str = "",
        retry_after_s: float | None = None,
        is_unhealthy: bool = False,
        is_throttled: bool = False,
    ) -> None:
        super().__init__(reason, code=code)
        self.retry_after_s = retry_after_s
        self.is_unhealthy = is_unhealthy
        self.is_throttled = is_throttled


class PermanentProviderError(ProviderError):
    """Raised when a provider will never deliver this message to this address.

    Attributes:
        is_about_content: Whether it refuses the message, and might accept another one to the address.
    """

    def __init__(self, reason: str, *, code: str = "", is_about_content: bool = False) -> None:
        super().__init__(reason, code=code)
        self.is_about_content = is_about_content


class RefusedUsError(ProviderError):
    """Raised when a provider refuses *us*: credentials, billing, an unknown sender.

    Attributes:
        is_general: Whether it would refuse every message of ours; False if that may depend on the recipient or the message.
        is_about_content: Whether it refuses the message, and might accept another one.
    """

    def __init__(self, reason: str, *, code: str = "", is_general: bool = True, is_about_content: bool = False) -> None:
        super().__init__(reason, code=code)
        self.is_general = is_general and not is_about_content
        self.is_about_content = is_about_content


class UnknownOutcomeError(ProviderError):
    """Raised when it is unknown whether the provider accepted: the request was sent, and no response came back."""

    is_unhealthy = True


class RejectedCallback(NotifyflowError):
    """Raised when a request that claims to come from a provider does not carry that provider's signature."""

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"a callback in the name of {provider} was rejected: {reason}")
        self.provider = provider
