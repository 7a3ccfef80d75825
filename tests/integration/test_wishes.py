"""For CRITICAL, a wish only adds: the pipeline pages whoever has one at least as soon on every channel as a twin without."""

import shutil
from datetime import timedelta
from pathlib import Path
from random import Random

from notifyflow.core.delivery.model import Contact, Recipient, Result, Severity
from notifyflow.storage.store import Store
from tests import invariants
from tests.builders import ACCEPTED, BUSY, CHANNELS, REFUSED, REPORTING, START, an_incident
from tests.driver import Driver
from tests.wishes import pair

SEEDS = range(25)
WAYS = (ACCEPTED, BUSY, REFUSED)


def tried(template: Path, contact: Contact, seed: int) -> dict[str, timedelta]:
    """Page somebody, let providers answer as the seed says, and return how long it took until each channel was tried."""
    store = Store(f"sqlite:///{shutil.copy(template, template.with_name('one.db'))}")
    driver, chance = Driver(store), Random(f"ways {seed}")
    for channel in CHANNELS:
        driver.respond(channel, chance.choice(WAYS))
    reports = {channel: chance.choice((None, Result.DELIVERED, Result.PERMANENT_FAILURE)) for channel in sorted(REPORTING)}
    ada = Recipient(id="ada", addresses=contact.addresses, channels=contact.channels)
    driver.notify(an_incident(severity=Severity.CRITICAL), ada, policy=pair(seed).policy)
    driver.deliver()
    told = 0
    for _ in range(40):
        for each in driver.seen[told:]:
            result = reports.get(each.channel)
            if result is not None and driver.outcomes[each.channel][0] is ACCEPTED:
                driver.report(each.message.attempt_id, result)
        told = len(driver.seen)
        driver.deliver()
        driver.pass_time(minutes=1)
    invariants.check(driver.status())
    rows = driver.escalations()[0].notifications
    store.close()
    return {
        channel: min(row.created_at for row in rows if row.channel == channel) - START
        for channel in {row.channel for row in rows}
    }


def test_a_wish_takes_away_and_delays_no_channel(sqlite_url: str) -> None:
    template = Path(sqlite_url.removeprefix("sqlite:///"))
    for seed in SEEDS:
        found = pair(seed)
        wished, plain = tried(template, found.contact, seed), tried(template, found.without, seed)
        late = {channel: wished.get(channel) for channel, after in plain.items() if wished.get(channel, timedelta.max) > after}
        assert not late, f"pair {seed}: {late} instead of {plain}"
