"""What runs in ``scripts/test --deep`` only and why, and the sizes that properties have there.

``scripts/test`` runs what a change breaks first: each test that no table here names and no mark ``deep`` keeps for the deep run.
A test that is named on the command line with ``::`` runs in any case.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

HAS_ALL = "TESTS_DEEP" in os.environ
"""Whether no case is left out."""
IS_DEEP = HAS_ALL and os.environ["TESTS_DEEP"] != "cases"
"""Whether this is the deep run, in which properties are larger, too."""

RULES = 2_000
"""How many examples of a rule the deep run draws at least."""
DATABASES = 300
"""How many it draws at least where each has a database or a server of its own."""

_EXAMPLES = Path(__file__).parents[1] / ".hypothesis" / "deep"

settings.register_profile(
    "deep",
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    database=DirectoryBasedExampleDatabase(_EXAMPLES),
)


DEEP = {
    "each column of each table is damaged in turn, and every page and door is opened": (
        "tests/integration/web/test_damaged_doors.py::test_no_door_fails_because_of_a_damaged_row",
        "tests/integration/web/test_damaged_doors.py::test_no_page_waits_because_of_another_damaged_row",
        "tests/integration/web/test_sentences.py",
    ),
    "a broker that is frozen, full or slow is waited for; that one is away or forgets is tried every day, for both kinds": (
        "tests/integration/engine/broker/test_brokers.py::test_notify_succeeds_while_the_broker_accepts_nothing_and_the_sweeper_delivers"
        "[rabbitmq out of memory]",
        "tests/integration/engine/broker/test_brokers.py::test_notify_succeeds_while_the_broker_accepts_nothing_and_the_sweeper_delivers"
        "[rabbitmq frozen]",
        "tests/integration/engine/broker/test_brokers.py::test_notify_succeeds_while_the_broker_accepts_nothing_and_the_sweeper_delivers"
        "[redis out of memory]",
        "tests/integration/engine/broker/test_brokers.py::test_notify_succeeds_while_the_broker_accepts_nothing_and_the_sweeper_delivers"
        "[redis read-only]",
        "tests/integration/engine/broker/test_brokers.py::test_a_provider_that_hangs_holds_up_nobody_else",
        "tests/integration/engine/broker/test_brokers.py::test_a_worker_that_stops_gives_back_what_it_has_fetched_and_ends_without_a_traceback"
        "[rabbitmq",
        "tests/integration/engine/broker/test_brokers.py::test_queues_that_vanish_under_a_worker_are_made_again",
        "tests/integration/engine/broker/test_listener.py::test_a_redis_that_falls_silent_is_given_up",
        "tests/integration/engine/broker/test_listener.py::test_a_quiet_redis_is_not_given_up",
    ),
    "time limits of seconds are waited for; one of each kind is kept every day": (
        "tests/integration/engine/test_deadline.py::test_a_connection",
        "tests/integration/engine/test_deadline.py::test_connections",
        "tests/integration/engine/test_deadline.py::test_each_of_many",
        "tests/integration/engine/test_deadline.py::test_what_is_known",
        "tests/integration/engine/test_deadline.py::test_a_silent_server_is_given_up_in_time[False]",
        "tests/integration/engine/test_owed_rings.py::test_pages_leave_soon_after_a_lock_is_gone_that_made_claims_time_out[ERROR]",
        "tests/integration/storage/session/test_several_servers.py::test_nothing_is_sent_while_a_synchronous_standby_hangs",
        "tests/integration/web/delivery/test_sns.py::test_a_message_that_cannot_be_committed_gets_503",
        "tests/integration/web/test_integrations.py::test_an_event_that_cannot_be_stored_gets_503",
        "tests/integration/web/oncall/test_heartbeats.py::test_a_ping_gets_503",
    ),
    "hundreds of rows or moments, where few show nearly the same": (
        "tests/integration/engine/test_bundle_of_500.py",
        "tests/integration/web/insight/test_incident_pages.py::test_all_moments_are_reached_page_by_page",
    ),
    "the whole site, in a browser, and all benchmarks: scripts/docs and scripts/bench --quick are for those who change them": (
        "tests/acceptance/test_bench.py",
        "tests/acceptance/test_site.py",
    ),
    "stories of whole processes, whose rules smaller tests show every day": (
        "tests/acceptance/test_api.py::test_an_incident_key_in_several_namespaces",
        "tests/acceptance/test_browser.py::test_a_person_reads_all_that_a_message_carried_and_takes_what_they_ticked[dark]",
        "tests/acceptance/test_cli.py::test_incidents_and_messages_are_found_by_filters",
        "tests/acceptance/test_pytest_plugin.py::test_the_examples_pass_on_two_workers_without_a_warning",
        "tests/acceptance/test_silent_phones.py::test_an_alert_that_is_off_for_five_seconds_a_minute",
        "tests/acceptance/test_tutorial.py::test_the_part_with",
        "tests/acceptance/test_worker.py::test_a_worker_stops_cleanly_while_redis_is_down",
        "tests/acceptance/test_worker.py::test_claimed_notifications",
        "tests/acceptance/test_worker.py::test_released_notifications",
    ),
    "frameworks, cells, failovers: more of real servers and workers than the kill and the flush that are tried every day": (
        "tests/acceptance/test_cells.py",
        "tests/acceptance/test_frameworks.py",
        "tests/chaos/test_chaos.py::test_a_",
        "tests/chaos/test_chaos.py::test_embedded",
        "tests/chaos/test_chaos.py::test_replies",
        "tests/chaos/test_chaos.py::test_servers",
        "tests/chaos/test_chaos.py::test_workers_on_rabbitmq",
        "tests/chaos/test_failover.py",
    ),
    "slow, and seldom broken by a change: types of the pages, rules of Prometheus, terminals with few characters, drawn people": (
        "tests/integration/test_docs.py::test_the_python_of_all_pages_passes_strict_type_checks",
        "tests/integration/web/metrics/test_scrape.py::test_the_rules_do_what_their_tests_say",
        "tests/integration/cli/test_output.py::test_a_terminal_that_has_not_all_characters_shows_others_instead[latin-1]",
        "tests/integration/cli/test_output.py::test_json_is_whole_on_every_terminal[latin-1]",
        "tests/unit/core/upkeep/test_rehearsal.py::test_it_finds_nothing_for_somebody_with_a_wish",
    ),
}
"""What runs in the deep run only: why, and how the names of its files and tests begin."""

ON_BOTH = (
    "tests/integration/storage/",
    "tests/integration/pipeline/transaction/",
    *(
        f"tests/integration/pipeline/delivery/test_{name}.py"
        for name in ("crowds", "cut_sweeps", "leases", "shares", "storm_costs", "tiers")
    ),
    "tests/integration/pipeline/upkeep/test_adoption.py",
    "tests/integration/pipeline/test_integrations.py",
    "tests/security/",
    *(
        f"tests/integration/engine/test_{name}.py"
        for name in ("cut_after_commit", "maintenance", "others", "shared_claims", "submissions_at_once", "unsure")
    ),
)
"""Whose tests depend on what is a database's own: statements, plans, locks, isolation, forks, crowds, cut commits,
migrations, and the characters that it takes.

All others run over SQLite every day, and over both in the deep run: they are about rules, which both are asked for alike.
"""

PAIRS = (
    "tests/integration/pipeline/delivery/test_calls.py",
    "tests/integration/pipeline/delivery/test_damaged",
    "tests/integration/pipeline/oncall/test_damaged",
    "tests/integration/web/test_damaged",
)
"""Whose tests with three parameters or more, the database among them, do not run every day with all values of all others.

Each two values meet in one case at least: every kind of row with every use case, and each of both with every kind of damage and
over both databases. The deep run has the whole product.
"""


_NAMES = tuple(name for names in DEEP.values() for name in names)


def everyday(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Return the tests of the everyday run."""
    kept, products = set(), defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("deep")
        if mark or item.nodeid.startswith(_NAMES):
            assert not mark or mark.args, f"{item.nodeid}: say why it belongs to the deep run"
            continue
        if item.nodeid.startswith(PAIRS) and len(_parameters(item)) > 2:
            products[item.nodeid.partition("[")[0]].append(item)
        elif _parameters(item).get("database_url") != "postgres" or item.nodeid.startswith(ON_BOTH):
            kept.add(item)
    return kept.union(*map(_pairs, products.values()))


def _pairs(product: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """Choose cases until all that can meet have met, always the one in which the most values meet for the first time."""
    left = {
        item: set(combinations(sorted((name, str(value)) for name, value in _parameters(item).items()), 2)) for item in product
    }
    while left:
        best = max(left, key=lambda item: len(left[item]))
        met = left.pop(best)
        if not met:
            return
        yield best
        for pairs in left.values():
            pairs -= met


def _parameters(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


def sliced(cases: Sequence[Any], every: int, *, reason: str) -> list[Any]:
    """Return all cases, of which one in some runs every day and the others in the deep run."""
    mark = pytest.mark.deep(reason)
    return [case if not number % every else pytest.param(case, marks=mark) for number, case in enumerate(cases)]


def examples(everyday: int, *, deep: int = DATABASES) -> int:
    """Return how many examples, seeds or stories are drawn: more in the deep run."""
    return max(everyday, deep) if IS_DEEP else everyday


def deepen(item: pytest.Item) -> None:
    """Let a property draw as many examples as the deep run wants, and give it the time for them."""
    test = getattr(item, "obj", None)
    drawn = getattr(test, "_hypothesis_internal_use_settings", None)  # where Hypothesis keeps what ``settings`` decorates
    if drawn is None:
        return
    wanted = RULES if item.path.is_relative_to(Path(__file__).parent / "unit") else DATABASES
    test._hypothesis_internal_use_settings = settings(drawn, max_examples=max(drawn.max_examples, wanted))
    item.add_marker(pytest.mark.timeout(3_600))
