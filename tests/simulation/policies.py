"""Random policies."""

from datetime import timedelta
from random import Random
from typing import Any

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import Acknowledgement, Failed, Policy, Repeat, Retries, RetrySchedule, Tier, Unacknowledged
from notifyflow.core.intake.policy_validation import validate_policy
from tests.simulation.outside import CHANNELS

_SHUT = 0.5


def small_policy(chance: Random, shutting: Random) -> Policy:
    """Return a random policy with short times.

    Args:
        chance: Draws all of it but one thing.
        shutting: Draws which of its later tiers are shut for which severities.
    """

    def schedule() -> RetrySchedule:
        return RetrySchedule(
            delays=tuple(timedelta(seconds=chance.choice((1, 5, 20))) for _ in range(chance.choice((0, 1, 2, 3))))
        )

    names = chance.sample(CHANNELS, k=chance.randint(3, 6))
    cuts = sorted(chance.sample(range(1, len(names)), k=chance.choice((1, 2))))
    groups = [names[start:end] for start, end in zip([0, *cuts], [*cuts, len(names)], strict=True)]
    tiers = [Tier(name="first", channels=tuple(groups[0]))]
    for number, group in enumerate(groups[1:], start=1):
        rules: list[Any] = [Failed(at_least=chance.choice((1, 2, 3)))]
        if chance.random() < 0.3:
            rules.append(Unacknowledged(after=timedelta(seconds=60 * number)))
        shut_for = [each for each in Severity if shutting.random() < 0.6] if shutting.random() < _SHUT else []
        tiers.append(Tier(name=f"tier {number}", channels=tuple(group), rules=tuple(rules), shut_for=tuple(shut_for)))
    policy = Policy(
        name="small",
        tiers=tuple(tiers),
        retries=Retries(normal=schedule(), critical=schedule(), by_channel={}),
        is_suspicion_on=chance.random() < 0.7,
        acknowledgement=chance.choice(list(Acknowledgement)),
        repeat=Repeat(every=timedelta(minutes=4), rounds=2) if chance.random() < 0.3 else None,
        unconfirmed_after=timedelta(minutes=8),
    )
    faults = validate_policy(policy, dict.fromkeys(CHANNELS))
    assert not faults, faults
    return policy
