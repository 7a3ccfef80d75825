"""Starts, ends and lists silences; users and keys need the right to operate in the namespaces that a silence covers."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from notifyflow.core import text
from notifyflow.core.limits.silences import Author, Matchers, Silence, label_warnings, may_act, validate_silence
from notifyflow.errors import Fault, InvalidSilence, SilenceNotFound
from notifyflow.log import get_logger
from notifyflow.pipeline.delivery.silences import silencing
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.store import Store

_log = get_logger("notifyflow.app")

_MOST = 1_000
_LABELLED = 1_000
"""How many of the last incidents are looked at for their labels."""
KEPT_FOR = timedelta(days=7)
"""How long a list shows silences that are over."""


class Silences:
    """The silences of one database; ``declared_labels`` returns those of the directory's routes and watched jobs."""

    def __init__(self, store: Store, use_cases: UseCases, declared_labels: Callable[[], Iterable[str]]) -> None:
        self._store = store
        self._declared_labels = declared_labels
        self._use_cases = use_cases
        self._clock, self._ids = use_cases.deps.clock, use_cases.deps.ids

    def start(
        self,
        matchers: Matchers,
        *,
        span: timedelta,
        why: str,
        by: Author,
        namespaces: Collection[str] | None = None,
        begins_at: datetime | None = None,
    ) -> Silence:
        """Start a silence: matching incidents page nobody until its end.

        Args:
            matchers: Which incidents.
            span: For how long, up to 24 hours.
            why: The reason, which everybody sees who looks at a silenced incident.
            by: Who starts it.
            namespaces: The namespaces on which it acts; None for all in which they may operate.
            begins_at: When it begins; None for now.

        Raises:
            InvalidSilence: With every fault; also when they may not operate in a namespace.
        """
        self._use_cases.prepare()
        now = self._clock.now()
        acting = by.namespaces if namespaces is None else namespaces
        begin = begins_at or now
        validate_silence(matchers, acting, author=by.name, reason=why, begins_at=begin, span=span, now=now)
        if not may_act(acting, by.namespaces):
            what = f"you may not operate in {text.listed(sorted(set(acting or ()) - set(by.namespaces or ())))}"
            raise InvalidSilence((Fault("namespace", what, "Name namespaces in which you may operate"),))
        silence = Silence(
            id=self._ids.new(),
            matchers=matchers,
            reason=text.one_line(why),
            begins_at=begin,
            ends_at=begin + span,
            created_at=now,
            author_kind=by.kind,
            author_id=by.id,
            author=text.one_line(by.name),
            namespaces=None if acting is None else frozenset(acting),
        )
        self._use_cases.run(_start, silence)
        _log.warning("app.silenced", silence_id=silence.id, by_kind=by.kind.value, until=silence.ends_at.isoformat())
        return silence

    def end(self, silence_id: str, *, by: Author) -> bool:
        """End a silence early: what it held leaves now; return whether it was not over.

        Raises:
            SilenceNotFound: When there is no such silence in the namespaces in which they may operate.
        """
        known = self.find(silence_id)
        if not may_act(known.namespaces, by.namespaces):
            raise SilenceNotFound(silence_id)
        was_ended = self._use_cases.run(silencing.end, silence_id, by=by.name)
        if was_ended:
            _log.warning("app.silence_ended", silence_id=silence_id, by_kind=by.kind.value)
        return was_ended

    def find(self, silence_id: str) -> Silence:
        """Return a silence; raise ``SilenceNotFound`` when there is none."""
        self._use_cases.prepare()
        silence = self._store.read(lambda reads: reads.silences.find(silence_id))
        if silence is None:
            raise SilenceNotFound(silence_id)
        return silence

    def now(self) -> datetime:
        """Return the time by which silences begin and end."""
        return self._clock.now()

    def all(self, namespaces: Collection[str] | None = None) -> tuple[Silence, ...]:
        """Return the silences that act on some namespaces (None for all) and are not over for long, the newest first."""
        self._use_cases.prepare()
        since = self._clock.now() - KEPT_FOR
        found = self._store.read(lambda reads: reads.silences.since(since, limit=_MOST))
        return _acting_on(found, namespaces)

    def damaged(self, namespaces: Collection[str] | None = None) -> tuple[Silence, ...]:
        """Return stand-ins for silences that cannot be read, act on some namespaces (None for all), and may hold incidents.

        They hold nothing new, and end as planned or by ``end``.
        """
        self._use_cases.prepare()
        return _acting_on(self._store.read(lambda reads: reads.silences.damaged()), namespaces)

    def held_by(self, silence_ids: Collection[str], namespaces: Collection[str] | None = None) -> Mapping[str, int]:
        """Count the unresolved incidents of some namespaces (None for all) that each of some silences holds."""
        self._use_cases.prepare()
        now = self._clock.now()
        return self._store.read(lambda reads: reads.silences.held_by(silence_ids, namespaces, now=now))

    def warnings(self, silences: Iterable[Silence], namespaces: Collection[str] | None = None) -> Mapping[str, Sequence[str]]:
        """Return, by id, why silences that are not over may cover nothing: labels that nothing in some namespaces had."""
        now = self._clock.now()
        lasting = [each for each in silences if each.matchers.labels and each.until > now]
        if not lasting:
            return {}
        recent = self._store.read(lambda reads: reads.silences.recent_labels(namespaces, limit=_LABELLED))
        known = {*recent, *self._declared_labels()}
        return {each.id: tuple(label_warnings(each.matchers, sorted(known))) for each in lasting}

    def in_force(self, namespaces: Collection[str] | None = None) -> tuple[Silence, ...]:
        """Return those of ``all`` that have begun and not ended."""
        now = self._clock.now()
        return tuple(each for each in self.all(namespaces) if each.is_in_force(now))


def _acting_on(silences: Iterable[Silence], namespaces: Collection[str] | None) -> tuple[Silence, ...]:
    """Return those of some silences that act on some namespaces (None for all)."""
    return tuple(each for each in silences if namespaces is None or each.namespaces is None or set(namespaces) & each.namespaces)


def _start(deps: Dependencies, silence: Silence) -> Committed[None]:
    return Committed(None, silencing.start(deps, silence))
