"""The external monitor: a URL that is requested while all is well, and that raises an alarm when requests stop."""

from typing import Self

from notifyflow.channels.http import STATUSES, Http, refusal
from notifyflow.channels.http.guard import Guard
from notifyflow.settings import Settings


class Monitor:
    """A dead man's switch, such as those of healthchecks.io, Dead Man's Snitch or Better Stack.

    Attributes:
        faults: What is wrong with its URL; empty if it can be requested.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        guard = Guard(trusted_endpoints=settings.trusted_endpoints)
        self._http = Http(settings, guard=guard)
        remedy = "Give an https URL, or name its host:port in NOTIFYFLOW_TRUSTED_ENDPOINTS"
        self.faults = guard.faults(url, "NOTIFYFLOW_HEARTBEAT_URL", remedy)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the configured monitor, or None."""
        return cls(settings.heartbeat_url.get_secret_value(), settings) if settings.heartbeat_url else None

    def ping(self) -> None:
        """Report that all is well.

        Raises:
            ProviderError: When the monitor did not accept it, or the outcome is unknown.
        """
        response = self._http.get(self._url)
        if not response.is_success:
            raise refusal(response.status, STATUSES)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
