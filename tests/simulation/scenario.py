"""One scenario: the people, workers and sweepers of a world drawn from one seed, and the result of its run."""

import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any

from notifyflow.app.composition import WIRING
from notifyflow.core.delivery.chain import Chain
from notifyflow.core.delivery.incident_events import Subscriber
from notifyflow.core.delivery.model import Contact, Incident, Receipt, Recipient, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Policy
from notifyflow.core.intake import validation
from notifyflow.core.intake.validation import OPERATIONS_KEY, CheckedChain
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.namespaces import OPERATIONS, SHARED
from notifyflow.core.references import ByKey
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.hand_over_teller import LOOK_EVERY, HandOverTeller
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import AmbiguousKey, IncidentResolved, NotFound, RecipientNotFound, StorageUnavailable
from notifyflow.pipeline.delivery import outbox
from notifyflow.pipeline.delivery.acknowledge import acknowledge, page_again, resolve
from notifyflow.pipeline.delivery.notify import Submitted
from notifyflow.pipeline.delivery.sweep import RING_AGAIN_AFTER, next_wake_at, sweep
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.reads import Reads
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.tables.fields import instant_text
from tests.capabilities import CAPABILITIES
from tests.log_lines import heard
from tests.simulation.adoption import Adoption, freed
from tests.simulation.answers import Answers
from tests.simulation.beats import Beats
from tests.simulation.bundles import Bundles
from tests.simulation.calls import Calls
from tests.simulation.checks import Checks
from tests.simulation.cuts import Cuts
from tests.simulation.database import Session, SimulatedDatabase, SimulatedUnitOfWork, Weakening
from tests.simulation.floods import Floods
from tests.simulation.hand_overs import HandOvers
from tests.simulation.held_up import ClosedPhones
from tests.simulation.kept_rings import KeptRings
from tests.simulation.namespaces import Namespaces
from tests.simulation.operators import Operators
from tests.simulation.outside import CHANNELS, Broker, Message, Outside, Send, StandIn
from tests.simulation.phones import Phones
from tests.simulation.policies import small_policy
from tests.simulation.quiet import QuietHours
from tests.simulation.rosters import LOOKED_WITHIN_S, Rosters
from tests.simulation.rush import Rush
from tests.simulation.senders import FlappingSenders
from tests.simulation.storms import Storms
from tests.simulation.web import Web
from tests.simulation.wishes import Wishes
from tests.simulation.world import START, FaultyOracle, Interrupted, Killed, Monitor, Process, Task, Violation, World, require

HEALS_WITHIN_S = 900.0
SETTLES_WITHIN_S = 7 * 3600.0  # three for the longest rounds; what fails over a silent callback path then waits for four
FOLLOWED_SETTLES_WITHIN_S = 30 * 3600.0  # a subscriber is tried again a day later
STEPS = 150_000  # a worker that stands still may hold a due row for 150 s, while others look for it twenty times a second
SEND_BUDGET = timedelta(seconds=15)
_LONGEST_SLEEP_S = 45.0
_RECEIPTS_WITHIN = timedelta(minutes=2)  # a sweep looks for an older receipt only an hour later: no sweeper needs to wake for it
_FOLLOWED = 0.3
_STALLING = 0.15
_STALLS = 0.2
_INTERRUPTING = 0.2
_INTERRUPTS = 0.03
_LEFT = 0.2
_AGEING = 0.25
_NIGHT = 4
_BUSY_NIGHT = 0.4
_SILENCES = 6
_BURSTING = 0.15
_BURST = 6
_CROWDED = 0.1
_JOINING = 0.2
_CROWD = 9
_ENDING = 0.3
_ADDRESS = re.compile(r"\w@")  # a name of a schedule begins with @
_SUBSCRIBER = Subscriber(name="status", url="", secrets=())
_UNMATCHED = """
    notifyflow_receipt r CROSS JOIN notifyflow_attempt a -- CROSS: few receipts are unmatched, so they come first
        ON a.provider = r.provider AND (a.id = r.attempt_id OR (a.provider_ref = r.provider_ref AND a.provider_ref <> ''))
    WHERE r.matched_attempt_id IS NULL
"""
_MISSED = f"SELECT received_at FROM {_UNMATCHED} ORDER BY received_at"
_FIRST_TIMERS = (  # one a table, for each is looked up again only after a commit that changed its table
    f"SELECT MIN(due_at) FROM notifyflow_notification WHERE state = 'QUEUED' AND rung_at IS NULL AND {freed('incident_id')}",
    f"""
        SELECT MIN(a.lease_until) FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
        WHERE a.state = 'RUNNING' AND {freed("n.incident_id")}
    """,
    f"""
        SELECT MIN(next_decision_at) FROM notifyflow_escalation
        WHERE next_decision_at IS NOT NULL AND is_current AND {freed("incident_id")}
    """,
    f"""
        SELECT MIN(next_round_at) FROM notifyflow_escalation
        WHERE next_round_at IS NOT NULL AND is_current AND {freed("incident_id")}
    """,
    f"SELECT MIN(round_at) FROM notifyflow_incident WHERE round_at IS NOT NULL AND state <> 'RESOLVED' AND {freed('id')}",
    f"SELECT MIN(due_at) FROM notifyflow_step WHERE due_at IS NOT NULL AND {freed('incident_id')}",
    "SELECT MIN(due_at) FROM notifyflow_silence WHERE due_at IS NOT NULL",
    f"SELECT MIN('{START}') FROM notifyflow_outbox WHERE {freed('incident_id')}",
)
_RUNG = f"SELECT MIN(rung_at) FROM notifyflow_notification WHERE state = 'QUEUED' AND {freed('incident_id')}"
_FAULTS = {
    # the highest probability of each fault, each time it can strike
    "crash": 0.02,
    "pause": 0.01,
    "commit_unknown": 0.02,
    "message lost": 0.5,
    "message doubled": 0.5,
    "message delayed": 0.3,
    "ring unsure": 0.05,
    "receipt lost": 0.3,
    "receipt doubled": 0.5,
}


@dataclass(frozen=True)
class Variant:
    """What a mutant changes; by default nothing."""

    unit: type[SimulatedUnitOfWork] = SimulatedUnitOfWork
    parts: tuple[type[Repository], ...] = ()
    without: Weakening = ()
    deps: dict[str, Any] = field(default_factory=dict)
    send_budget: timedelta = SEND_BUDGET


AS_IT_IS = Variant()


@dataclass(frozen=True)
class RunResult:
    """The result of one seed."""

    seed: int
    trace: tuple[str, ...]
    trace_hash: str
    faults: dict[str, int]
    violation: str = ""
    sends: int = 0
    steps: int = 0


class Ids:
    """Ids that count upwards."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._numbers = count(0x1000)

    def new(self) -> str:
        return f"{next(self._numbers):032x}"

    def fraction(self) -> float:
        return self._random.random()


class Scenario:
    """A world of a database, a broker, providers, worker processes, and people with a script.

    Attributes:
        threads: How many threads of each worker answer rings.
    """

    threads = 3
    _resolves_s: list[float]  # how long after a round of operations starts their incident is resolved

    def __init__(self, seed: int, variant: Variant, *, begins_s: float = 0.0) -> None:
        self.world = world = World(seed, begins_s=begins_s)
        self._chance = chance = world.random
        self._variant = variant
        is_server = chance.random() < 0.8
        self._database = SimulatedDatabase(
            world, is_server=is_server, unit=variant.unit, parts=variant.parts, without=variant.without
        )
        self._broker = Broker(world)
        self._skews_s = chance.choice((0.0, 0.0, 1.0, 30.0, 120.0))
        world.widest_skew_s = 2 * self._skews_s
        self._web_process = self._process("web", self._boot_web)
        self._outside = Outside(world, self._database, self._receive)
        self._workers = [self._process(f"worker-{n}", self._boot) for n in range(1, chance.choice((1, 2, 2, 3)) + 1)]
        self._ids = Ids(chance)
        self._policy = self._age(chance.choice((DEFAULT, INSISTENT, small_policy(chance, world.apart("shut")))))
        self._sleepers: dict[Task, float] = {}
        self._operators = Operators(world, self._database, self._outside)
        self._adoption = Adoption(world, self._database, self._operators.covers)
        self._closed = ClosedPhones(world, self._database, self._operators.covers)
        self._phones = Phones(world, self._database, self._outside)
        self._rosters = Rosters(world, self._database)
        self._quiet = QuietHours(world, self._database)
        self._wishes = Wishes(world, self._database)
        self._checks = Checks(world, self._database, self._outside, self._operators, self._phones, self._rosters, self._quiet)
        self._hand_overs = HandOvers(world, self._database, self._rosters, self._quiet)
        self._is_telling = self._hand_overs.is_told and self._rosters.tells
        self._namespaces = Namespaces(world, self._database)
        self._senders = FlappingSenders(world, self._database)
        self._floods = Floods(world, self._database, self._operators)
        self._storms = Storms(world, self._database, self._outside)
        if self._storms.is_on:
            self._phones.let_all_answer()
        self._beats = Beats(world, self._database, self._broker, self._storms, self._checks.disturbances)
        self._bundles = Bundles(world, self._database, self._outside, self._storms)
        self._calls = Calls(world, self._database, self._storms, self._operators)
        self._answers = Answers(world, self._database, self._outside, self._storms, self._phones)
        self._database.before_commit = world.observed(self._namespaces.before_commit)
        self._database.after_commit = world.observed(self._after_commit)
        self._rush = Rush(world, self._database, self._broker, self._operators.disturbances)
        self._kept_rings = KeptRings(world, self._database, self._operators.disturbances)
        self._cuts = Cuts(world, self._database, self._broker, self._operators.disturbances)
        self._outside.on_begin = world.observed(self._on_begin)
        self._outside.on_message = world.observed(self._on_message)
        self._outside.on_response = world.observed(self._on_response)
        self._accepted: list[str] = []
        self._resolves_s = []
        self._unfinished = 0
        self._heals_s = chance.uniform(60, HEALS_WITHIN_S)
        operations = [Contact(recipient_id="ops", name="Ops", addresses={name: f"ops@{name}" for name in ("email", "sms")})]
        self._operations = tuple(operations if chance.random() < 0.8 else ())
        self._checks.alarms.has_recipients = bool(self._operations)
        self._rosters.operations = tuple(each.recipient_id for each in self._operations)
        self._subscribers = (_SUBSCRIBER,) if world.apart("followed").random() < _FOLLOWED else ()

    def run(self) -> RunResult:
        """Run the world with its faults, heal it, let it settle, and check the invariants."""
        world, violation = self.world, ""
        try:
            with heard(world.observed(lambda _, event, facts: self._on_log(event, facts))):
                self._draw_faults()
                self._write_script()
                world.run(self._is_settled, until_s=self._heals_s, steps=STEPS)
                self._heal()
                within_s = FOLLOWED_SETTLES_WITHIN_S if self._subscribers else SETTLES_WITHIN_S
                is_settled = world.run(self._is_settled, until_s=world.now_s + within_s, steps=world.steps + STEPS)
                require(
                    is_settled,
                    f"1: not settled within {within_s:.0f} s without faults, or at a standstill: {self._what_is_left()}",
                )
                self._at_end()
        except Violation as error:
            violation = str(error)
        except FaultyOracle as error:
            violation = str(error)
            world.trace += traceback.format_exception(error.__cause__)
        except Exception as error:  # noqa: BLE001 - whatever the product raises where it should not
            violation = f"{type(error).__name__}: {error}"
            world.trace += traceback.format_exception(error)
        finally:
            world.end()
            self._database.close()
        return RunResult(
            seed=world.seed,
            trace=tuple(world.trace),
            trace_hash=world.trace_hash,
            faults=world.faults,
            violation=violation,
            sends=len(self._outside.sends),
            steps=world.steps,
        )

    def _at_end(self) -> None:
        """Check the settled world."""
        self._checks.at_end(set(self._accepted), healed_s=self._heals_s)
        self._rosters.at_end(self._heals_s)
        self._closed.at_end(healed_s=self._heals_s)
        self._bundles.at_end(is_capped=self._storms.is_on)

    def _draw_faults(self) -> None:
        chance, world = self._chance, self.world
        if chance.random() < 0.95:
            world.odds = {name: most * chance.random() for name, most in _FAULTS.items() if chance.random() < 0.5}
        if world.apart("stalls").random() < _STALLING:
            world.odds["stall"] = _STALLS
        if world.apart("interrupts").random() < _INTERRUPTING:
            world.odds["interrupt"] = _INTERRUPTS
        self._cuts.draw()
        for _ in range(chance.choice((0, 0, 1, 2))):
            world.after(chance.uniform(0, self._heals_s), partial(self._lose_database, chance.expovariate(1 / 15)))
        for _ in range(chance.choice((0, 0, 1, 2))):
            world.after(chance.uniform(0, self._heals_s), partial(self._lose_broker, chance.expovariate(1 / 30)))

    def _write_script(self) -> None:
        chance = self._chance
        severities = list(Severity)
        severity = chance.choice(severities)
        people = [self._recipient(recipient_id) for recipient_id in ("ada", "ben", "cyd")[: chance.choice((1, 1, 2, 3))]]
        self._people(0, self._notify, severity, people)
        later_s = partial(chance.uniform, 0.1, self._heals_s)
        if chance.random() < 0.3:
            self._people(later_s(), self._notify, chance.choice(severities), people)
        if chance.random() < 0.2:
            self._people(later_s(), self._notify, severity, [self._recipient("ada"), self._recipient("dan")])
        if chance.random() < 0.2:
            self._people(later_s(), self._page_again)
        self._acknowledges_at_tier = chance.random() < 0.3
        if chance.random() < 0.5:
            self._people(later_s() * chance.random(), self._acknowledge)
        if chance.random() < 0.2:
            self._people(later_s(), self._resolve)
        if self._outside.dropping:
            self._write_silences(people)
        self._write_night(self.world.apart("nights"), people)
        self._phones.write_script(self._people, until_s=self._heals_s)
        self._operators.write_script(self._people, self._workers, until_s=self._heals_s, on_stop=self._checks.on_stop)
        self._write_crowd(self.world.apart("crowd"))
        self._write_burst(self.world.apart("burst"))
        self._write_late_commits(self.world.apart("late commits"), people)
        self._write_ends_of_operations(self.world.apart("ends of operations"))
        self._rush.write_script(self._people, self._notify, until_s=self._heals_s)
        self._adoption.write_script(self._people, until_s=self._heals_s)
        self._namespaces.write_script(self._people, self._submit, self._policy, until_s=self._heals_s)
        self._closed.write_script(self._people, self._submit, until_s=self._heals_s)
        self._hand_overs.write_script(self._people, self._submit, self._policy, until_s=self._heals_s)
        self._senders.write_script(self._people, self._submit, self._policy, until_s=self._heals_s)
        self._floods.write_script(self._people, self._submit, self._policy, until_s=self._heals_s)
        self._storms.write_script(
            self._people, self._submit, self._policy, self._workers, self._checks.disturbances, until_s=self._heals_s
        )

    def _write_crowd(self, chance: Random) -> None:
        """In some worlds, notify many recipients at once and stop a worker meanwhile."""
        if chance.random() < _CROWDED:
            people = [Recipient(id=f"p{n}", addresses={name: f"p{n}@{name}" for name in CHANNELS[:2]}) for n in range(_CROWD)]
            at_s = chance.uniform(0, self._heals_s)
            self._people(at_s, partial(self._notify, key="db-2"), chance.choice(list(Severity)), people)
            worker = chance.choice(self._workers)
            self._operators.stop(worker, at_s + chance.uniform(0.05, 15), on_stop=self._checks.on_stop)

    def _write_burst(self, chance: Random) -> None:
        """In some worlds, several systems report the same two incidents at once."""
        if chance.random() < _BURSTING:
            at_s = chance.uniform(0, self._heals_s)
            for number in range(_BURST):
                severity = chance.choice(list(Severity))
                act = partial(self._notify, key=f"burst-{number % 2}")
                self._people(at_s + chance.random() / 100, act, severity, [self._recipient(f"b{number}")])

    def _write_late_commits(self, chance: Random, people: list[Recipient]) -> None:
        """In some worlds, submit in transactions of an application, which are committed late."""
        if self._database.is_server and chance.random() < _JOINING:
            for key in ("db-1", "late", "late"):
                act = partial(self._notify_late, chance.uniform(0, 30), key)
                self._people(chance.uniform(0, self._heals_s), act, chance.choice(list(Severity)), people)

    def _write_ends_of_operations(self, chance: Random) -> None:
        """In some worlds, end the operations incident, whatever waits for its next round; or resolve it when a round starts."""
        for _ in range(chance.choice((1, 2, 3)) if chance.random() < _ENDING else 0):
            self._people(chance.uniform(0, self._heals_s), self._end_operations, chance.random() < 0.7)
        self._resolves_s = [chance.uniform(0, 2) for _ in range(3)] if chance.random() < _ENDING else []

    def _age(self, policy: Policy) -> Policy:
        """In some worlds, let pages expire within minutes."""
        chance = self.world.apart("freshness")
        if chance.random() >= _AGEING:
            return policy
        fresh_for = timedelta(minutes=chance.choice((3, 6, 12)))
        return replace(policy, fresh_for=fresh_for, fresh_for_critical=2 * fresh_for)

    def _write_silences(self, people: list[Recipient]) -> None:
        """Plan many CRITICAL alerts at once where carriers drop receipts, so that many receipts are overdue together."""
        chance = self.world.apart("storm")
        for number in range(_SILENCES):
            self._people(chance.uniform(0, 30), partial(self._notify, key=f"storm-{number}"), Severity.CRITICAL, people)
        silent = set(self._outside.dropping) - {"voice"}  # every receipt about fay is dropped, and no call to her can be placed
        fay = Recipient(id="fay", addresses={name: f"{'fay' if name in silent else 'gone'}@{name}" for name in CHANNELS})
        self._people(chance.uniform(0, 30), partial(self._notify, key="silence"), Severity.CRITICAL, [fay])

    def _write_night(self, chance: Random, people: list[Recipient]) -> None:
        """In some worlds, plan incidents that wait for those who are quiet, so that calls carry several."""
        sleeping = [each for each in people if each.quiet is not None]
        if sleeping and chance.random() < _BUSY_NIGHT:
            for number in range(_NIGHT):
                severity = chance.choice((Severity.ERROR, Severity.WARNING))
                self._people(chance.uniform(0, 30), partial(self._notify, key=f"night-{number}"), severity, sleeping)

    def _recipient(self, recipient_id: str) -> Recipient:
        chance = self._chance
        names = [name for name in CHANNELS if chance.random() < 0.7] or ["email"]
        gone = {name for name in names if chance.random() < 0.1}
        if self.world.apart(f"{recipient_id} left").random() < _LEFT:
            gone |= {name for name in names if name not in ("sms", "voice")}
        addresses = {name: f"{'gone' if name in gone else recipient_id}@{name}" for name in names}
        return self._wishes.given(self._quiet.given(Recipient(id=recipient_id, addresses=addresses)))

    def _process(self, name: str, boot: Callable[[Process], None]) -> Process:
        return Process(self.world, name, boot, self._chance.uniform(-self._skews_s, self._skews_s))

    def _deps(self, process: Process) -> Dependencies:
        deps = Dependencies(
            transactions=self._database,
            wiring=WIRING,
            clock=process,
            ids=self._ids,
            channels=CAPABILITIES,
            check_address=lambda channel, address: address,
            operations=self._operations,
            subscribers=self._subscribers,
            limits=self._operators.limits,
            senders={"sms": self._phones.senders},
            replying=frozenset(("sms", provider) for provider in self._phones.senders),
            doubt_resolution_times={"email-a": timedelta(seconds=15)} if "email" in self._outside.reporting else {},
        )
        return replace(self._storms.given(deps), **self._variant.deps)

    def _boot_web(self, process: Process) -> None:
        """Start the web service, which has the threads of the requests that come."""
        deps = self._deps(process)
        self._web = Web(self.world, self._database, self._namespaces, deps, Reporter(self._broker, deps))

    def _boot(self, process: Process) -> None:
        """Start the threads of one worker process: those that handle rings, and a sweeper."""
        deps = self._deps(process)
        stand_in = StandIn(lambda ring: process.spawn(lambda: self._handle(deliverer, ring)))
        reporter = Reporter(self._broker, deps, local_bell=stand_in)
        deliverer = Deliverer(
            deps,
            self._outside.channels,
            reporter,
            send_budget=self._variant.send_budget,
            concurrency=1000,
            urgent_rings=self._broker.urgent_rings,
            pause=self.world.sleep,
            monitor=partial(Monitor, self.world),
        )
        deliverer.share(self.threads)
        self._operators.started(process, deliverer)
        for _ in range(self.threads):
            process.spawn(lambda: self._handle_rings(deliverer)).is_interruptible = True
        process.spawn(lambda: self._sweep(deps, reporter, deliverer))
        if self._is_telling:
            use_cases = UseCases(deps, reporter.report)
            teller = HandOverTeller(use_cases, lambda: self._database.read(lambda db: Reads(db).roster.current()))
            process.spawn(lambda: self._tell(deliverer, teller))

    def _handle_rings(self, deliverer: Deliverer) -> None:
        while not self._operators.is_stopping(deliverer):
            ring = self._broker.receive()
            with suppress(Interrupted):
                self._handle(deliverer, ring)

    def _handle(self, deliverer: Deliverer, ring: Message) -> None:
        self._operators.note_ring(deliverer, ring.notification_ids)
        with self._kept_rings.handled(deliverer):
            self._safely(partial(deliverer.deliver, ring.channel, ring.notification_ids, is_urgent=ring.is_urgent))
        if self._kept_rings.are_owed(deliverer):
            own = self.world.task.process
            self._wake([task for task in self._sleepers if task.process is own], at_s=self.world.now_s + self._chance.random())

    def _sweep(self, deps: Dependencies, reporter: Reporter, deliverer: Deliverer) -> None:
        while not self._operators.is_stopping(deliverer):
            self.world.point("before a sweep")
            wake_at = self._safely(lambda: self._sweep_once(deps, reporter, deliverer))
            pause_s = 1.0 if wake_at is None else max((wake_at - deps.clock.now()).total_seconds(), 0.05)
            me = self.world.task
            self._sleepers[me] = self.world.now_s + pause_s
            self.world.sleep(pause_s)
            del self._sleepers[me]

    def _tell(self, deliverer: Deliverer, teller: HandOverTeller) -> None:
        while not self._operators.is_stopping(deliverer):
            self._safely(teller.look)
            self.world.sleep(LOOK_EVERY.total_seconds())

    def _sweep_once(self, deps: Dependencies, reporter: Reporter, deliverer: Deliverer) -> Any:
        process = self.world.task.process
        swept = sweep(deps, began_at=START + timedelta(seconds=process.booted_s) + process.skew)
        if isinstance(swept.cut_short, Killed):  # the dead report nothing
            raise swept.cut_short
        if swept.broken:
            raise Violation("a sweep broke") from swept.broken[0]
        reporter.report(swept)
        if swept.cut_short is not None:
            raise swept.cut_short
        self._kept_rings.pay_back(deliverer)
        rung = self._database.look(_RUNG)[0][0]
        now = deps.clock.now()
        again_at = None if rung is None else datetime.fromisoformat(rung) + RING_AGAIN_AFTER
        again = [] if again_at is None else [max(again_at, now + timedelta(seconds=1))]  # a stalled process may hold it locked
        if self._kept_rings.are_owed(deliverer):
            again.append(now + timedelta(seconds=1))
        wake_at = next_wake_at(deps)
        sleep_limit = now + timedelta(seconds=_LONGEST_SLEEP_S)
        return min([sleep_limit, *again, *([wake_at] if wake_at else [])])

    def _on_begin(self, attempt_id: str) -> None:
        self._checks.on_begin(attempt_id)
        self._rush.on_begin(attempt_id)
        self._cuts.on_begin(attempt_id)
        self._beats.on_begin(attempt_id)

    def _on_message(self, message: OutboundMessage) -> None:
        self._bundles.on_message(message)
        self._answers.on_message(self._people, message)

    def _on_response(self, send: Send) -> None:
        self._checks.on_response(send)
        self._beats.on_response(send.attempt_id)

    def _after_commit(self, session: Session) -> None:
        """Check the commit, and wake the sweepers if it made something due within a second; they sleep otherwise."""
        if session.lines:
            self.world.moved_at_step = self.world.steps
        self._rosters.after_commit(session)
        self._checks.after_commit(session)
        self._adoption.check(session)
        self._namespaces.after_commit(session)
        self._senders.after_commit(session)
        self._floods.after_commit(session)
        self._hand_overs.after_commit(session)
        self._bundles.after_commit(session)
        self._beats.after_commit(session)
        self._calls.after_commit(session)
        self._answers.after_commit(session)
        if session.writes:
            self._wake_sweepers()
        if self._resolves_s and any((line["machine"], line["event"]) == ("incident", "paged_again") for line in session.lines):
            self._people(self._resolves_s.pop(), self._end_operations, True)
        if self._acknowledges_at_tier and any(line["event"] == "tier_opened" for line in session.lines):
            self._people(self._chance.expovariate(20), self._acknowledge)
        self._cuts.after_commit(session)

    def _wake_sweepers(self) -> None:
        """Wake each sweeper when the first timer is over by its own clock, or at once for a receipt that was missed."""
        received_since = START + timedelta(seconds=self.world.now_s) - _RECEIPTS_WITHIN
        missed = (at for (at,) in self._database.look(_MISSED) if at > instant_text(received_since))
        missed_s = _seconds(next(missed, None))
        timer_s = min(_seconds(self._database.look(each)[0][0]) for each in _FIRST_TIMERS)
        self._sleepers = {task: planned_s for task, planned_s in self._sleepers.items() if not task.greenlet.dead}
        for task in list(self._sleepers):
            due_s = min(missed_s, timer_s - task.process.skew.total_seconds())
            self._wake([task], at_s=max(due_s, self.world.now_s + self._chance.random()))

    def _wake(self, sleepers: Sequence[Task], *, at_s: float) -> None:
        """Let sweepers sleep until an instant at most."""
        for task in sleepers:
            if at_s < self._sleepers[task]:
                self._sleepers[task] = at_s
                task.wake_after(at_s - self.world.now_s)

    def _people(self, delay_s: float, act: Callable[..., FollowUps], *arguments: Any) -> None:
        """Schedule an act through the web service's process; it is repeated while the database is unavailable."""
        self._unfinished += 1
        self.world.after(delay_s, lambda: self._start_act(partial(act, *arguments), tries=5))

    def _start_act(self, act: Callable[[Dependencies], FollowUps], tries: int) -> None:
        task = self._in_web(act)
        self.world.after(15, lambda: self._repeat_act(task, act, tries - 1))

    def _repeat_act(self, task: Task | None, act: Callable[[Dependencies], FollowUps], tries: int) -> None:
        if tries == 0 or (task is not None and task.is_done):
            self._unfinished -= 1
        else:
            self._start_act(act, tries)

    def _in_web(self, act: Callable[[Dependencies], FollowUps]) -> Task | None:
        if self._web_process.is_dead:
            return None
        deps = self._deps(self._web_process)
        reporter = Reporter(self._broker, deps)

        def body() -> None:
            try:
                follow_ups = act(deps)
            except StorageUnavailable:
                return
            except (NotFound, AmbiguousKey, RecipientNotFound, IncidentResolved):
                follow_ups = FollowUps()
            task.is_done = True
            reporter.report(follow_ups)

        task = self._web_process.spawn(body)
        task.is_interruptible = True
        return task

    def _receive(self, receipt: Receipt) -> Task | None:
        self.world.note(f"callback {receipt.event_id[-6:]}: {receipt.result}")

        def act(deps: Dependencies) -> FollowUps:
            del deps
            self._web.receive(receipt)
            return NOTHING

        return self._in_web(act)

    def _notify(self, severity: Severity, people: list[Recipient], deps: Dependencies, *, key: str = "db-1") -> FollowUps:
        del deps
        incident_id = self._submit(Incident(key=key, title="down", severity=severity), people, self._policy, SHARED)
        self.world.note(f"notified: {incident_id[-4:]} {severity} {[each.id for each in people]}")
        return NOTHING

    def _notify_late(
        self, open_for_s: float, key: str, severity: Severity, people: list[Recipient], deps: Dependencies
    ) -> FollowUps:
        checked = validation.check_incident(
            Incident(key=key, title="down", severity=severity), people, deps.check_address, deps.channels
        )
        committed = outbox.join(deps, Submitted(checked=checked, policy=self._policy), open_for_s)
        self._accepted.append(committed.value.incident_id)
        self.world.note(f"notified late: {committed.value.incident_id[-4:]} {severity} {[each.id for each in people]}")
        return committed.follow_ups

    def _submit(
        self, incident: Incident, people: list[Recipient], policy: Policy, namespace: str, chain: Chain | None = None
    ) -> str:
        deps = self._deps(self._web_process)
        checked = validation.check_incident(incident, people, deps.check_address, deps.channels, chain=CheckedChain(chain=chain))
        incident_id = self._web.submit(Submitted(checked=checked, policy=policy, namespace=namespace))
        self._accepted.append(incident_id)
        return incident_id

    def _acknowledge(self, deps: Dependencies) -> FollowUps:
        by = self._chance.choice(("ada", "ben", "eve"))
        return self._by_key(deps, lambda ref: acknowledge(deps, ref, by=by, via=Via.LIBRARY).follow_ups)

    def _end_operations(self, is_over: bool, deps: Dependencies) -> FollowUps:
        act = resolve if is_over else acknowledge
        self.world.note(f"operations: {act.__name__}")
        return act(deps, ByKey(OPERATIONS_KEY, OPERATIONS), by="eve", via=Via.LIBRARY).follow_ups

    def _resolve(self, deps: Dependencies) -> FollowUps:
        return self._by_key(deps, lambda ref: resolve(deps, ref, by="ada", via=Via.LIBRARY).follow_ups)

    def _page_again(self, deps: Dependencies) -> FollowUps:
        return self._by_key(deps, lambda ref: page_again(deps, ref, "ada", by="eve", via=Via.LIBRARY).follow_ups)

    def _by_key(self, deps: Dependencies, act: Callable[[ByKey], FollowUps]) -> FollowUps:
        """Act on the incident of a key, in our namespace or in all."""
        namespace = self._namespaces.named()
        return self._namespaces.within(namespace, lambda _: act(ByKey("db-1", namespace)))(deps)

    def _lose_database(self, span_s: float) -> None:
        if not self.world.is_healed:
            self.world.note(f"*** the database is away for {span_s:.1f} s")
            self._database.fail_for(span_s)

    def _lose_broker(self, span_s: float) -> None:
        if not self.world.is_healed:
            self.world.note(f"*** the broker is away for {span_s:.1f} s, and forgets")
            self._broker.forget()
            self._broker.up_at_s = self.world.now_s + span_s

    def _heal(self) -> None:
        self.world.note("*** all is well from now on")
        self.world.is_healed = True
        self._database.up_at_s = self._broker.up_at_s = self.world.now_s

    def _is_settled(self) -> bool:
        """Return whether no work is left; checked now and then only, for it costs more than a step."""
        if self._is_telling and self.world.now_s < self._heals_s + 2 * LOOKED_WITHIN_S:
            return False
        is_quiet = not self._unfinished and not self._outside.underway and self.world.steps % 10 == 0
        return is_quiet and next(self._left(), None) is None

    def _what_is_left(self) -> str:
        return ", ".join(f"{name} {ids}" for name, ids in self._left())

    def _left(self) -> Iterator[tuple[str, list[str]]]:
        """Look up one kind of work after the other, and yield what is found."""
        left = {
            "escalations": "notifyflow_escalation WHERE state = 'ACTIVE'",
            "notifications": "notifyflow_notification WHERE state IN ('QUEUED', 'SENDING')",
            "unmatched": _UNMATCHED,
            "attempts": "notifyflow_attempt WHERE state = 'RUNNING'",
            "rounds": "notifyflow_escalation WHERE next_round_at IS NOT NULL AND is_current",
            "steps": "notifyflow_step WHERE due_at IS NOT NULL",
            "outbox": "notifyflow_outbox",
            "rounds of operations": "notifyflow_incident WHERE round_at IS NOT NULL AND state <> 'RESOLVED'",
        }
        for name, what in left.items():
            if found := self._database.look(f"SELECT id FROM {what}"):
                yield name, [each[-4:] for (each,) in found]

    def _safely(self, act: Callable[[], Any]) -> Any:
        """Run an act as the edge of a thread does: an unavailable database is the only error it tolerates."""
        try:
            return act()
        except StorageUnavailable:
            return None

    def _on_log(self, event: str, facts: dict[str, Any]) -> None:
        """Handle a log line of the product."""
        require(not _ADDRESS.search(repr(facts)), f"8: {event} logs an address")
        self._checks.on_log(event, facts)
        self.world.note(f"{event} {' '.join(f'{name}={str(value)[-6:]}' for name, value in sorted(facts.items()))}")


def _seconds(at: str | None) -> float:
    """Return an instant in seconds since the start; never, where there is none."""
    return float("inf") if at is None else (datetime.fromisoformat(at) - START).total_seconds()


def simulate(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run one seed and return its result."""
    return Scenario(seed, variant).run()
