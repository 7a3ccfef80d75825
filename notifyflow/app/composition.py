"""The composition root: makes the parts of one NotifyFlow and puts them together.

It imports almost all of notifyflow, and so ``NotifyFlow`` loads it when one is made and not when the class is imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from notifyflow.app.clock_and_ids import DatabaseClock, RandomIds
from notifyflow.app.configuration import read
from notifyflow.app.database import SPARE_CONNECTIONS, Database, disk_faults, replica_of
from notifyflow.app.dependencies import make_dependencies
from notifyflow.app.forks import FORKED
from notifyflow.app.overview import Overview
from notifyflow.app.runtime import Runtime
from notifyflow.app.threads import Threads
from notifyflow.channels.base import Channel
from notifyflow.channels.meanings import meanings
from notifyflow.channels.registry import load
from notifyflow.core.delivery.ports import Bell, Clock, Ids
from notifyflow.errors import Fault, InvalidSettings
from notifyflow.pipeline.delivery import calls, decisions, incident_events, operations, steps
from notifyflow.pipeline.oncall import hand_overs, roster
from notifyflow.pipeline.transaction.ports import Dependencies, Wiring
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.service import Service
from notifyflow.settings import Settings
from notifyflow.storage.store import Store
from notifyflow.storage.tables.policies import keep

WIRING = Wiring(
    at_end=(steps.at_end, incident_events.at_end, calls.at_end, operations.at_end),
    decide=decisions.decide_by_id,
    word_hand_over=hand_overs.words,
    whom=roster.whom,
)
"""The operations incident is locked last: paging operations ends a transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one NotifyFlow; ``NotifyFlow`` describes the arguments they are made from."""

    store: Store
    database: Database
    deps: Dependencies
    runtime: Runtime
    service: Service
    threads: Threads
    overview: Overview
    warnings: tuple[Fault, ...]


def compose(
    settings: Settings,
    *,
    clock: Clock | None,
    ids: Ids | None,
    store: Store | None,
    bell: Bell | None,
    channels: Mapping[str, Channel] | None,
) -> Parts:
    """Make the parts; given ones are used instead of new ones.

    Raises:
        InvalidSettings: When the settings, policies, operations recipients or the place of the database do not allow a start.
    """
    used_store = store or Store(
        settings.database_url.get_secret_value(),
        pool_size=settings.concurrent_sends + SPARE_CONNECTIONS,
        prepares=settings.prepared_statements,
    )
    if lost := tuple(disk_faults(settings, used_store)):
        raise InvalidSettings(lost)
    loaded = load(settings) if channels is None else channels
    configuration = read(settings, loaded)
    warnings = (*configuration.faults, *configuration.hazards, *configuration.unreached, *configuration.warnings)
    clock = clock or DatabaseClock(used_store)
    deps = make_dependencies(
        settings,
        WIRING,
        used_store,
        clock,
        ids or RandomIds(clock),
        channels=loaded,
        delivery=configuration.delivery,
        operations=configuration.operations,
        operations_policy=configuration.policies["operations"],
    )
    database = Database(used_store, clock, settings.environment)
    runtime = Runtime(
        settings,
        deps,
        database,
        channels=loaded,
        owns_channels=channels is None,
        owns_store=store is None,
        bell=bell,
        warnings=warnings,
    )
    keep(configuration.policies.values())  # a damaged row of one keeps nobody here from being paged
    use_cases = UseCases(deps, runtime.report, prepare=database.prepare)
    service = Service(
        used_store,
        use_cases,
        replica=replica_of(settings, used_store, clock),
        policies=configuration.policies,
        directory=settings.directory,
        explain=meanings(loaded),
        unknown_addresses_a_minute=settings.unknown_addresses_a_minute,
    )
    runtime.attend(use_cases, service.rosters, service.watched_jobs, service.list_source.replica)
    FORKED.add(service)
    return Parts(
        store=used_store,
        database=database,
        deps=deps,
        runtime=runtime,
        service=service,
        threads=Threads(used_store),
        overview=Overview(database, service, clock),
        warnings=warnings,
    )
