"""Pauses: stop sending for a while on all channels, one channel or one provider."""

from collections.abc import Mapping
from datetime import timedelta

from notifyflow.channels.base import Channel
from notifyflow.core.limits.pauses import Pause, PauseScope, validate_pause
from notifyflow.log import get_logger
from notifyflow.pipeline.delivery.outages import pause, pauses, resume
from notifyflow.pipeline.transaction.ports import Dependencies

_log = get_logger("notifyflow.app")


class Pauses:
    """Starts and ends pauses; each process obeys from its next claim on."""

    def __init__(self, deps: Dependencies, channels: Mapping[str, Channel]) -> None:
        self._deps = deps
        self._names: Mapping[PauseScope, frozenset[str]] = {
            PauseScope.ALL: frozenset(),
            PauseScope.CHANNEL: frozenset(channels),
            PauseScope.PROVIDER: frozenset(provider.name for channel in channels.values() for provider in channel.providers),
        }

    def start(self, scope: PauseScope, name: str = "", *, span: timedelta, by: str, is_for_critical: bool = False) -> Pause:
        """Stop sending for a while; CRITICAL notifications are still sent unless they are included.

        Args:
            scope: What to pause.
            name: The channel or provider; empty for all.
            span: For how long, up to 24 hours; the pause then ends by itself.
            by: Who pauses.
            is_for_critical: Whether CRITICAL notifications are included.

        Raises:
            InvalidPause: When there is no such channel or provider, or the span or ``by`` is out of range.
        """
        validate_pause(scope, name, span, by, self._names[scope])
        now = self._deps.clock.now()
        new_pause = Pause(
            scope=scope, name=name, ends_at=now + span, paused_at=now, paused_by=by, is_for_critical=is_for_critical
        )
        pause(self._deps, new_pause)
        until = new_pause.ends_at.isoformat()
        _log.warning("app.paused", scope=scope.value, target=name, until=until, is_for_critical=is_for_critical)
        return new_pause

    def end(self, scope: PauseScope, name: str = "", *, by: str) -> bool:
        """End a pause: what it deferred is due at once.

        Returns:
            Whether there was such a pause.
        """
        was_paused = resume(self._deps, scope, name)
        if was_paused:
            _log.warning("app.resumed", scope=scope.value, target=name, by=by)
        return was_paused

    def in_force(self) -> tuple[Pause, ...]:
        """Return the pauses in force, the oldest first."""
        return pauses(self._deps)
