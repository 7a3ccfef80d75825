"""Random pairs of a policy and a wish, played with the wish and without it; ``python -m tests.wishes`` plays many.

For CRITICAL, a wish only adds: however providers answer, each channel is tried no later than without it.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import Failed, Policy, Repeat, Retries, RetrySchedule, Tier, Unacknowledged
from notifyflow.core.upkeep.forecast import LONGEST_CALL, ChannelModel, ForecastRun, ProviderBehaviour, fresh_escalation
from tests.builders import CHANNELS
from tests.capabilities import CALLING

_DEAF = ("email", "slack", "teams")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A policy, somebody with a wish, and how the channels are carried."""

    policy: Policy
    contact: Contact
    models: dict[str, ChannelModel]
    fraction: float
    takes: timedelta

    @property
    def without(self) -> Contact:
        """The same person without the wish."""
        return replace(self.contact, channels=None)

    def tried(self, contact: Contact, behaviour: ProviderBehaviour) -> dict[str, datetime]:
        """Return when each channel is tried for the first time, if providers answer in one way."""
        fresh = fresh_escalation(contact, self.policy, Severity.CRITICAL, CALLING)
        run = ForecastRun(fresh, self.models, behaviour, takes=self.takes, fraction=self.fraction)
        for _ in run.events():
            pass
        first: dict[str, datetime] = {}
        for row in run.context.notifications:
            first[row.channel] = min(row.created_at, first.get(row.channel, row.created_at))
        return first

    def losses(self) -> Iterator[str]:
        """Yield what the wish takes away or delays."""
        for behaviour in ProviderBehaviour:
            wished, plain = self.tried(self.contact, behaviour), self.tried(self.without, behaviour)
            for channel, at in plain.items():
                if channel not in wished:
                    yield f"{channel} is lost ({behaviour})"
                elif wished[channel] > at:
                    yield f"{channel} comes {wished[channel] - at} later ({behaviour})"


def pair(seed: int) -> Pair:
    """Return the random pair of a seed."""
    chance = Random(f"wish {seed}")

    def rules() -> tuple[Failed | Unacknowledged, ...]:
        found: list[Failed | Unacknowledged] = []
        if chance.random() < 0.8:
            found.append(Failed(at_least=chance.choice((1, 1, 2, 3))))
        if not found or chance.random() < 0.3:
            found.append(Unacknowledged(after=timedelta(minutes=chance.choice((1, 2, 5, 10, 30)))))
        return tuple(found)

    def tier(number: int) -> Tier:
        channels = tuple(chance.sample(CHANNELS, k=chance.randint(1, 3)))
        is_shut = number and chance.random() < 0.2
        return Tier(
            name=f"t{number}",
            channels=channels,
            rules=rules() if number else (),
            shut_for=(Severity.CRITICAL,) if is_shut else (),
        )

    def schedule() -> RetrySchedule:
        return RetrySchedule(
            delays=tuple(timedelta(seconds=chance.choice((2, 10, 60, 480))) for _ in range(chance.randint(0, 3)))
        )

    policy = Policy(
        name="p",
        tiers=tuple(tier(number) for number in range(chance.randint(1, 4))),
        retries=Retries(normal=schedule(), critical=schedule(), by_channel={}),
        is_suspicion_on=chance.random() < 0.8,
        suspected_after_attempts=chance.randint(1, 3),
        repeat=Repeat(every=timedelta(minutes=15), rounds=2) if chance.random() < 0.3 else None,
    )
    reached = chance.sample(CHANNELS, k=chance.randint(1, len(CHANNELS)))
    names = tuple(chance.sample(reached, k=chance.randint(1, len(reached))))
    return Pair(
        policy=policy,
        contact=Contact(
            recipient_id="ada",
            name="Ada",
            addresses={channel: f"ada@{channel}" for channel in reached},
            channels={Severity.CRITICAL: names},
        ),
        models={
            name: ChannelModel(providers=(name,) if chance.random() < 0.9 else (), has_receipts=name not in _DEAF)
            for name in CHANNELS
        },
        fraction=chance.choice((0.0, 0.5, 1.0)),
        takes=chance.choice((timedelta(), timedelta(seconds=1), LONGEST_CALL)),
    )


def main() -> None:
    """ForecastRun many pairs, and print how many of them lose or delay a channel."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pairs", type=int, default=20_000)
    given = parser.parse_args()
    bad = {seed: found for seed in range(given.pairs) if (found := list(pair(seed).losses()))}
    for seed, found in list(bad.items())[:10]:
        print(f"pair {seed}: {'; '.join(found)}")  # noqa: T201 - a command
    print(f"{len(bad)} of {given.pairs} pairs lose a channel or bring one later")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
