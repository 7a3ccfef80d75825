"""The kill switch, as users reach it: stop sending for a while, all of it, one channel or one provider."""

from collections.abc import Mapping
from datetime import timedelta

import structlog

from notifyflow.channels.base import Channel
from notifyflow.core.pauses import Pause, Scope, validate_pause
from notifyflow.pipeline.pause import pause, pauses, resume
from notifyflow.pipeline.ports import Dependencies

_log = structlog.get_logger("notifyflow.app")


class Switch:
    """Pauses and resumes; every process heeds it from its next claim on, and nothing that is paused is lost or grows old.

    Args:
        deps: The dependencies of the use cases.
        channels: Name to channel.
    """

    def __init__(self, deps: Dependencies, channels: Mapping[str, Channel]) -> None:
        self._deps = deps
        self._names: Mapping[Scope, frozenset[str]] = {
            Scope.ALL: frozenset(),
            Scope.CHANNEL: frozenset(channels),
            Scope.PROVIDER: frozenset(provider.name for channel in channels.values() for provider in channel.providers),
        }

    def pause(self, scope: Scope, name: str = "", *, span: timedelta, by: str, is_for_critical: bool = False) -> Pause:
        """Stop sending for a while; CRITICAL passes unless it is stopped, too.

        Args:
            scope: What.
            name: Which channel or provider; empty for all.
            span: For how long, up to 24 hours; it ends by itself.
            by: Who does it.
            is_for_critical: Whether CRITICAL is stopped, too.

        Raises:
            InvalidPause: When there is no such thing, or the time or the name will not do.
        """
        validate_pause(scope, name, span, by, self._names[scope])
        now = self._deps.clock.now()
        wanted = Pause(scope=scope, name=name, ends_at=now + span, paused_at=now, paused_by=by, is_for_critical=is_for_critical)
        pause(self._deps, wanted)
        _log.warning(
            "app.paused", scope=scope.value, name=name, by=by, until=wanted.ends_at.isoformat(), is_for_critical=is_for_critical
        )
        return wanted

    def resume(self, scope: Scope, name: str = "", *, by: str) -> bool:
        """End a pause: what it deferred is due at once.

        Returns:
            Whether there was one.
        """
        was_paused = resume(self._deps, scope, name)
        if was_paused:
            _log.warning("app.resumed", scope=scope.value, name=name, by=by)
        return was_paused

    def pauses(self) -> tuple[Pause, ...]:
        """List what is paused now."""
        return pauses(self._deps)
