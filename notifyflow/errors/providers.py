"""Errors of calls to providers, and of callbacks in a provider's name."""

from notifyflow.errors.root import NotifyflowError


class ProviderError(NotifyflowError):
    """Raised when a provider did not accept an attempt.

    Attributes:
        code: The provider's own code or HTTP status, as text; empty where it gave none.
        reason: What it means, from our table; holds nothing personal.
        is_unhealthy: Whether it means that the provider itself is unhealthy, whatever becomes of the message.
    """

    is_unhealthy = False

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(f"{reason} ({code})" if code else reason)
        self.code = code
        self.reason = reason


class TemporaryProviderError(ProviderError):
    """Raised when the provider said no for now, or could not be reached at all.

    Attributes:
        retry_after_s: When it asks to be tried again, in seconds; None where it did not say.
        is_throttled: Whether it says no because we ask too often.
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
    """Raised when the provider will never carry this to this address."""


class RefusedUsError(ProviderError):
    """Raised when the provider refuses *us*: credentials, billing, an unknown sender.

    Attributes:
        is_general: Whether it would refuse every message of ours; False where that may depend on the recipient.
    """

    def __init__(self, reason: str, *, code: str = "", is_general: bool = True) -> None:
        super().__init__(reason, code=code)
        self.is_general = is_general


class UnknownOutcomeError(ProviderError):
    """Raised when it is unknown whether the provider accepted: the request was sent, and no response came back."""

    is_unhealthy = True


class RejectedCallback(NotifyflowError):
    """Raised when a request that claims to come from a provider does not carry that provider's signature.

    Attributes:
        provider: Whom it claims to come from.
    """

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"a callback in the name of {provider} was rejected: {reason}")
        self.provider = provider
