"""The preferences of a recipient: channels and their order, by severity; pure."""

from collections.abc import Collection, Iterable, Sequence

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import Policy, Tier


def preferred(policy: Policy, contact: Contact, severity: Severity) -> Policy:
    """Return a recipient's policy for a severity: the given one, with the recipient's preferred channels.

    The preferred channels page one after another: the first in the first tier, the next in the second, the rest in the last. The
    tiers keep their rules. For CRITICAL the policy stays as it is; ``wished`` adds to it.
    """
    names = (contact.channels or {}).get(severity, ())
    if severity is Severity.CRITICAL or not names:
        return policy
    return replace(policy, tiers=tuple(_in_turn(policy.tiers, names)))


def wished(contact: Contact, severity: Severity) -> tuple[str, ...]:
    """Return the channels on which a recipient is also paged at the start; none unless the severity is CRITICAL."""
    return tuple((contact.channels or {}).get(severity, ())) if severity is Severity.CRITICAL else ()


def reached_for(policy: Policy, contact: Contact) -> frozenset[Severity]:
    """Return the severities for which a policy pages a recipient on a channel with an address."""
    return frozenset(severity for severity in Severity if _reaches(policy, contact, severity))


def unreached_for(contact: Contact, policies: Collection[Policy]) -> tuple[Severity, ...]:
    """Return the severities for which the recipient's preferred channels keep all of some policies from reaching them."""
    if not (policies and contact.addresses and contact.channels):
        return ()
    wished = [each for each in Severity if each in contact.channels and each is not Severity.CRITICAL]
    return tuple(each for each in wished if not any(_reaches(policy, contact, each) for policy in policies))


def _reaches(policy: Policy, contact: Contact, severity: Severity) -> bool:
    open_ones = (tier for tier in preferred(policy, contact, severity).tiers if severity not in tier.shut_for)
    return any(channel in contact.addresses for tier in open_ones for channel in tier.channels)


def _in_turn(tiers: Sequence[Tier], names: Sequence[str]) -> Iterable[Tier]:
    last = len(tiers) - 1
    for number, tier in enumerate(tiers):
        yield replace(tier, channels=tuple(names[number:] if number == last else names[number : number + 1]))
