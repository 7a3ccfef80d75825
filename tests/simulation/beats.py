"""The oracle of storms' times: nothing waits for longer than its rule, and a quiet lane holds nothing.

It knows the numbers of the rules, and judges by the log, by pages as they are committed, and by what the stand-ins saw.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from notifyflow.core.delivery.model import NotificationState
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.lanes import Lane, Page, calls_of, is_apart, page
from tests.simulation.outside import Broker
from tests.simulation.storms import Storms
from tests.simulation.world import Violation, World, require

_BEAT_S = {"slack": 10.0, "teams": 10.0, "push": 10.0, "email": 60.0, "sms": 60.0}
_CRITICAL_BEAT_S = _BEAT_S | {"email": 30.0, "sms": 30.0}
_CRITICAL_S = 30.0
"""How long all beats together hold up the CRITICAL pages of a round."""
_CALLING = "voice"
_LONGEST_CALL_S = 300.0
_WITHIN_S = 60.0
_INCIDENTS = 3
_LASTS_S = 300.0
_LEEWAY_S = 0.01
_SLACK_S = 5.0
"""How much later a page leaves than it may: for a sweep, a ring and a claim."""
_SEEN_WITHIN_S = 1.0
"""A transaction sees what was committed so long before it began, and takes no longer."""


@dataclass
class _Traffic:
    """What happened in one lane.

    Attributes:
        pages: Its pages by id, as they came.
        stormy_s: Until when a class of incidents may be in a storm, by whether it is that of CRITICAL and ERROR.
        departures: When first attempts left it that had to wait for a beat, with what their session saw.
    """

    pages: dict[str, Page] = field(default_factory=dict)
    stormy_s: dict[bool, float] = field(default_factory=lambda: {True: -1.0, False: -1.0})
    departures: list["_Departure"] = field(default_factory=list)


@dataclass(frozen=True)
class _Departure:
    """When first attempts of a lane left, when their transaction had begun, and of which classes they were."""

    at_s: float
    began_s: float
    classes: frozenset[bool]


@dataclass(frozen=True)
class _Waiting:
    """Since when a page could leave, as far as limits, pauses and quiet hours are concerned."""

    since_s: float
    page: Page


class Beats:
    """Checks each hold and each departure of a page.

    Attributes:
        are_rows_sound: Whether no row is damaged on purpose; those that are set aside wait for as long as it takes.
        are_times_judged: Whether it judges when pages leave; silences have an oracle of their own.
    """

    are_rows_sound = True
    are_times_judged = True

    def __init__(
        self,
        world: World,
        database: SimulatedDatabase,
        broker: Broker,
        storms: Storms,
        disturbances: Callable[[], tuple[Any, ...]],
    ) -> None:
        self._world = world
        self._database = database
        self._broker = broker
        self._storms = storms
        self._disturbances = disturbances
        self._known_disturbances: tuple[Any, ...] = ()
        self._disturbed_s = 0.0
        self._lanes: dict[Lane, _Traffic] = defaultdict(_Traffic)
        self._waiting: dict[str, _Waiting] = {}
        self._left: dict[str, _Waiting] = {}  # pages of running attempts: since when they had waited
        self._began_s: dict[str, float] = {}
        self._holds: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)  # by escalation and page: from when to when
        self._calls_alone: dict[Lane, list[float]] = defaultdict(list)  # when calls left about a page that is never bundled
        self._sends: list[tuple[float, float]] = []  # when each send ended, and how long it took

    def on_begin(self, attempt_id: str) -> None:
        """Note that a send begins."""
        self._began_s[attempt_id] = self._world.now_s

    def on_response(self, attempt_id: str) -> None:
        """Note that a send has ended."""
        now_s = self._world.now_s
        self._sends.append((now_s, now_s - self._began_s.get(attempt_id, now_s)))

    def after_commit(self, session: Session) -> None:
        """Check what the transaction made wait, and what it let leave."""
        self._note_disturbances()
        for line in session.lines:
            if line["machine"] == "notification" and line["event"] != "claimed":
                self._follow(line["row_id"], line["event"])
        new = [attempt_id for attempt_id, is_new in session.attempts.items() if is_new]
        leaving = [self._leaving(attempts) for attempts in calls_of(self._database, new).values()]
        for pages in leaving:
            self._check_waits(pages)
            if pages and pages[0].channel == _CALLING and self._is_apart(pages[0]):
                self._calls_alone[pages[0].lane].append(self._world.now_s)
        self._check_departures([each for pages in leaving for each in pages], session)

    def _follow(self, row_id: str, event: str) -> None:
        """Note since when a page may leave; a hold does not change that, nor does an attempt that was returned unsent."""
        found = page(self._database, row_id)
        if found is None or found.state != NotificationState.QUEUED:
            self._waiting.pop(row_id, None)
            return
        if event == "postponed":
            self._check_hold(found)
            self._storms.on_hold()
        elif event == "released" and row_id in self._left:
            self._waiting[row_id] = replace(self._left.pop(row_id), page=found)
        else:
            self._waiting[row_id] = _Waiting(max(found.due_s, self._world.now_s), found)
            self._end_hold(found)
        self._note(found, self._world.now_s)

    def _note(self, found: Page, at_s: float) -> None:
        """Note something about a page in its lane: a storm of its class begins with a third incident, and goes on with each."""
        lane, slack_s = self._lanes[found.lane], self._world.widest_skew_s + _LEEWAY_S
        is_new = found.id not in lane.pages
        lane.pages.setdefault(found.id, found)
        if at_s <= lane.stormy_s[found.is_urgent] or (is_new and self._is_third(lane, found, slack_s)):
            lane.stormy_s[found.is_urgent] = max(lane.stormy_s[found.is_urgent], at_s + _LASTS_S + slack_s)

    def _is_third(self, lane: _Traffic, found: Page, slack_s: float) -> bool:
        """Return whether a page and others of two more incidents came within a minute; pages may be committed in any order."""
        near = [
            each
            for each in lane.pages.values()
            if each.is_urgent == found.is_urgent and abs(each.created_s - found.created_s) <= _WITHIN_S + slack_s
        ]
        return any(
            len({each.incident_id for each in near if last_s - _WITHIN_S - slack_s <= each.created_s <= last_s}) >= _INCIDENTS
            for last_s in (each.created_s for each in near)
        )

    def _check_hold(self, held: Page) -> None:
        """Require that a page is held in storms only, no longer than its rule, and that the hold changes nothing else of it."""
        skew_s, now_s = self._world.widest_skew_s + _LEEWAY_S, self._world.now_s
        until_s = held.waits_until_s
        known = self._waiting.get(held.id)
        what = f"storm: {held.id[-4:]} ({held.channel}, {held.severity}) is held until {until_s:.2f}"
        require(known is not None, f"{what}, and was not waiting")
        assert known is not None
        require(held.due_s <= until_s, f"{what}, and due at {held.due_s:.2f}")
        self._waiting[held.id] = replace(known, page=held)
        require(held.deferral == known.page.deferral, f"{what}; its deferral was {known.page.deferral}, and is {held.deferral}")
        if held.channel == _CALLING:
            require(until_s <= now_s + _LONGEST_CALL_S + skew_s, f"{what}, for longer than a call lasts")
            return
        require(not self._is_apart(held), f"{what}, and bundling is off")
        longest_s = (_CRITICAL_BEAT_S if held.is_critical else _BEAT_S).get(held.channel, 0.0)
        require(until_s <= known.since_s + longest_s + skew_s, f"{what}, and could leave since {known.since_s:.2f}")
        is_storm = now_s <= self._lanes[held.lane].stormy_s[held.is_urgent] + skew_s
        require(is_storm, f"{what}, and its lane is quiet")
        require(not self._is_first(held), f"{what}, the first CRITICAL of {held.namespace!r} in its lane for a minute")
        if held.is_critical:
            holds = self._holds[held.escalation_id]
            holds[held.id] = known.since_s, until_s
            total_s = _covered_s(holds.values())
            require(
                total_s <= _CRITICAL_S + _SEEN_WITHIN_S + 2 * skew_s, f"{what}: beats hold its round up by {total_s:.1f} s in all"
            )

    def _is_apart(self, found: Page) -> bool:
        """Return whether a page leaves by itself, since bundling is off or its policy forbids it."""
        is_off = self._storms.is_off(self._world.task.process)
        return is_off or is_apart(self._database, found.escalation_id)

    def _is_first(self, found: Page) -> bool:
        """Return whether a page is certainly the first CRITICAL one of its namespace in its lane within a minute."""
        if not found.is_critical:
            return False
        slack_s = self._world.widest_skew_s + _LEEWAY_S
        others = (each for each in self._lanes[found.lane].pages.values() if each.id != found.id and each.is_critical)
        before_s = found.created_s - _WITHIN_S - slack_s
        return not any(
            each.namespace == found.namespace and before_s <= each.created_s <= found.created_s + slack_s for each in others
        )

    def _leaving(self, attempt_ids: Sequence[str]) -> list[Page]:
        """Return the pages of a call that is claimed; their waiting is over."""
        pages = []
        for attempt_id in attempt_ids:
            ((row_id,),) = self._database.look("SELECT notification_id FROM notifyflow_attempt WHERE id = ?", attempt_id)
            if found := page(self._database, row_id):
                pages.append(found)
                self._left[row_id] = self._waiting.pop(row_id, _Waiting(self._world.now_s, found))
                self._note(found, self._world.now_s)
                self._end_hold(found)
        return pages

    def _end_hold(self, found: Page) -> None:
        """Note that a page waits no more, since it leaves or is deferred."""
        holds = self._holds[found.escalation_id]
        if held := holds.get(found.id):
            holds[found.id] = held[0], min(held[1], self._world.now_s)

    def _check_waits(self, pages: Sequence[Page]) -> None:
        """Require that no first attempt has waited longer than its rule, where clocks agree and nothing kept workers from it."""
        if self._world.widest_skew_s or not (self.are_rows_sound and self.are_times_judged):
            return
        for each in pages:
            known = self._left[each.id]
            since_s, was_deferred = known.since_s, known.page.deferral[0] is not None
            if each.tries or each.returned or was_deferred or self._disturbed_s >= since_s - _SLACK_S:
                continue
            beats = _CRITICAL_BEAT_S if each.is_critical else _BEAT_S
            longest_s = beats.get(each.channel, 0.0)
            if each.channel == _CALLING:  # it waits for one call, and for those about one page that were before it
                before = [at_s for at_s in self._calls_alone[each.lane] if since_s <= at_s < self._world.now_s]
                longest_s = _LONGEST_CALL_S * (1 + len(before))
            if self._world.now_s > self._lanes[each.lane].stormy_s[each.is_urgent] and each.channel != _CALLING:
                longest_s = 0.0
            waited_s = self._world.now_s - since_s
            if waited_s <= longest_s + _SLACK_S:
                continue
            busy_s = sum(took_s for ended_s, took_s in self._sends if ended_s >= since_s)
            require(
                waited_s <= longest_s + busy_s + _SLACK_S,
                f"storm: {each.id[-4:]} ({each.channel}, {each.severity}) waited {waited_s:.1f} s, not {longest_s:.0f} s at most",
            )

    def _check_departures(self, pages: Sequence[Page], session: Session) -> None:
        """Require that in a storm, first attempts leave with one whose hold is over or has to be, where clocks agree."""
        if self._world.widest_skew_s or self._storms.is_off(self._world.task.process) or not self.are_times_judged:
            return
        now_s = self._world.now_s
        for lane in {each.lane for each in pages if each.channel in _BEAT_S}:
            own = [each for each in pages if each.lane == lane and not self._may_leave_at_any_time(each)]
            if not own:
                continue
            traffic = self._lanes[lane]
            beat_s = min((_CRITICAL_BEAT_S if each.is_critical else _BEAT_S)[lane[0]] for each in own)
            for before in traffic.departures[-3:]:
                since_s = now_s - before.at_s
                if _LEEWAY_S < since_s < beat_s - _SLACK_S and all(self._has_to_wait(traffic, each, before) for each in own):
                    raise Violation(f"storm: {own[0].id[-4:]} leaves {since_s:.1f} s after what left {lane[0]} before")
            traffic.departures.append(_Departure(now_s, session.began_s, frozenset(each.is_urgent for each in own)))

    def _may_leave_at_any_time(self, leaving: Page) -> bool:
        """Return whether a page is no first attempt, was deferred, is the first CRITICAL one, or is never bundled."""
        is_first_attempt = not (leaving.tries or leaving.returned or self._left[leaving.id].page.deferral[0])
        is_bundled = not is_apart(self._database, leaving.escalation_id)
        return not (is_first_attempt and is_bundled) or self._is_first(leaving)

    def _has_to_wait(self, traffic: _Traffic, leaving: Page, before: _Departure) -> bool:
        """Return whether a page has to wait after a departure: that certainly saw a storm, to which the page came later.

        What was held until now has waited, and what is CRITICAL may have no time left for it in a later tier.
        """
        has_waited = self._left[leaving.id].page.waits_until_s <= self._world.now_s + _SLACK_S
        if has_waited or (leaving.is_critical and leaving.tier > 1):
            return False
        came_s: dict[str, float] = {}
        for each in traffic.pages.values():
            if each.is_urgent == leaving.is_urgent and before.began_s - _WITHIN_S + _SLACK_S <= each.created_s:
                came_s[each.incident_id] = min(each.created_s, came_s.get(each.incident_id, each.created_s))
        third_s = sorted(came_s.values())[_INCIDENTS - 1 : _INCIDENTS]
        is_storm = bool(third_s) and third_s[0] < before.began_s - _SEEN_WITHIN_S and leaving.is_urgent in before.classes
        return is_storm and leaving.created_s > before.at_s

    def _note_disturbances(self) -> None:
        now = self._disturbances()
        if now != self._known_disturbances:
            self._known_disturbances, self._disturbed_s = now, self._world.now_s
        away_until_s = [self._database.up_at_s, self._broker.up_at_s]
        if self._world.awake_s > self._world.now_s:
            away_until_s.append(self._world.awake_s)
        self._disturbed_s = max(self._disturbed_s, *away_until_s)


def _covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long any of some spans lasts."""
    total_s, reached_s = 0.0, float("-inf")
    for since_s, until_s in sorted(spans):
        total_s += max(until_s - max(since_s, reached_s), 0.0)
        reached_s = max(reached_s, until_s)
    return total_s
