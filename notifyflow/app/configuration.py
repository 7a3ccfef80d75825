"""Reads the files that the settings name: policies, operations recipients, the directory; finds faults worth a warning."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from notifyflow.channels.aws.sqs import queue_faults
from notifyflow.channels.base import Channel
from notifyflow.channels.monitor import Monitor
from notifyflow.channels.provider_protocols import shows_arrival
from notifyflow.core.delivery.model import Contact, Recipient, Severity
from notifyflow.core.delivery.policy import OPERATIONS, SHIPPED, Policy
from notifyflow.core.intake import policy_validation, validation
from notifyflow.core.intake.documents import read_policies, read_recipients
from notifyflow.core.limits.mode import Delivery, Mode, read_delivery
from notifyflow.core.oncall.reach import paging, unshown
from notifyflow.core.text import listed
from notifyflow.errors import Fault, InvalidInput, InvalidSettings
from notifyflow.service.oncall.directory import read_file
from notifyflow.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The usable contents of the files that the settings name, and all findings about them.

    Attributes:
        operations: The reachable operations recipients.
        preventing: The faults that prevent a start.
        faults: The other faults, and missing settings.
        warnings: Allowed settings that are risky or incomplete.
        hazards: Allowed settings that may leave a phone silent.
        unreached: Why nobody can be reached, at least when all ways to a recipient have failed.
    """

    policies: Mapping[str, Policy]
    operations: tuple[Contact, ...]
    delivery: Delivery
    preventing: tuple[Fault, ...]
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    hazards: tuple[Fault, ...] = ()
    unreached: tuple[Fault, ...] = ()


def read(settings: Settings, channels: Mapping[str, Channel]) -> Configuration:
    """Read the files that the settings name, for a start.

    Raises:
        InvalidSettings: When the policies, the operations recipients or the delivery mode are invalid, with every fault.
    """
    found = examine(settings, channels)
    if found.preventing:
        raise InvalidSettings(found.preventing)
    return found


def examine(settings: Settings, channels: Mapping[str, Channel]) -> Configuration:
    """Read the files that the settings name, and find all faults; a fault in one file hides none in another."""
    preventing: list[Fault] = []
    if all(channel.is_loaded for channel in channels.values()):  # a plug-in that did not load may bring the name
        preventing += _unknown_providers(settings, channels) + _uncapped_channels(settings, channels)
    own, wrong_policies = _read_policies(settings, channels)
    recipients, wrong_recipients = _read_operations(settings)
    delivery, misdirected = _read_way_out(settings, channels)
    contacts, unusable = validation.check_recipients(
        recipients, lambda channel, address: channels[channel].check_address(address), channels
    )
    operations = tuple(contact for contact in contacts if contact.addresses)
    policies = {**SHIPPED, **own}
    faults = [fault for channel in channels.values() for fault in channel.faults]
    faults += _outgoing_faults(settings) + _within("NOTIFYFLOW_OPS_RECIPIENTS", unusable)
    in_directory = _directory_faults(settings, policies)
    if wrong_policies:  # a route may name them
        in_directory = [fault for fault in in_directory if not fault.where.endswith(".policy")]
    warnings = _warnings(settings)
    warnings += _within("NOTIFYFLOW_POLICIES", [fault for policy in own.values() for fault in policy_validation.warnings(policy)])
    warnings += _unnoticed(operations, policies[OPERATIONS.name])
    warnings += _unshown(settings, policies, channels, operations)
    return Configuration(
        policies=policies,
        operations=operations,
        delivery=delivery,
        preventing=(*preventing, *wrong_policies, *wrong_recipients, *misdirected),
        faults=tuple(dict.fromkeys((*faults, *in_directory))),
        warnings=tuple(warnings),
        hazards=tuple(
            _within("NOTIFYFLOW_POLICIES", [fault for policy in own.values() for fault in policy_validation.hazards(policy)])
        ),
        unreached=tuple(_unreached(settings, channels, operations)),
    )


def _read_policies(settings: Settings, channels: Mapping[str, Channel]) -> tuple[Mapping[str, Policy], list[Fault]]:
    try:
        return (read_policies(_text_of(settings.policies), channels) if settings.policies else {}), []
    except InvalidInput as error:
        return {}, _within("NOTIFYFLOW_POLICIES", error.faults)


def _read_operations(settings: Settings) -> tuple[Sequence[Recipient], list[Fault]]:
    text = (settings.ops_recipients or "").strip()
    try:
        return (read_recipients(text if text[0] in "[{" else _text_of(Path(text))) if text else ()), []
    except InvalidInput as error:
        return (), _within("NOTIFYFLOW_OPS_RECIPIENTS", error.faults)


def read_paging(settings: Settings, policies: Mapping[str, Policy]) -> Mapping[str, str]:
    """Return how each route of the directory pages: its policy, and when that ends; empty without a usable directory."""
    if settings.directory is None:
        return {}
    try:
        return paging(read_file(settings.directory, policies), policies)
    except InvalidInput:  # a warning reports it
        return {}


def _read_way_out(settings: Settings, channels: Mapping[str, Channel]) -> tuple[Delivery, list[Fault]]:
    """Read the delivery mode, and validate the addresses that messages are redirected to."""
    delivery = read_delivery(settings.delivery.get_secret_value())
    addresses, faults = {}, []
    for channel, address in delivery.addresses.items():
        try:
            addresses[channel] = channels[channel].check_address(address)
        except KeyError:
            faults.append(_misdirected(f"there is no channel {channel!r}", f"Name some of {', '.join(sorted(channels))}"))
        except ValueError as error:
            faults.append(_misdirected(f"the address of {channel} {error}", "Correct the address"))
    return replace(delivery, addresses=addresses), faults


def _misdirected(what: str, remedy: str) -> Fault:
    return Fault("NOTIFYFLOW_DELIVERY", what, remedy)


def _directory_faults(settings: Settings, policies: Mapping[str, Policy]) -> list[Fault]:
    """Find the faults that make the directory unusable; alerts are stored without it, so they do not stop a start."""
    try:
        if settings.directory:
            read_file(settings.directory, policies)
    except InvalidInput as error:
        return _within("NOTIFYFLOW_DIRECTORY", error.faults)
    return []


def _unknown_providers(settings: Settings, channels: Mapping[str, Channel]) -> list[Fault]:
    """Find names of providers that no channel has: most likely a typing error, which would leave a limit without effect."""
    configured = {provider.name for channel in channels.values() for provider in channel.providers}
    known = sorted(configured.union(*(channel.provider_names for channel in channels.values())))
    named = {"PROVIDER_LIMITS": settings.provider_limits, "PROVIDER_ORDER": settings.provider_order}
    return [
        Fault(f"NOTIFYFLOW_{setting}", f"there is no provider {name!r}", f"Name some of {', '.join(known)}")
        for setting, names in named.items()
        for name in names
        if name not in known
    ]


def _uncapped_channels(settings: Settings, channels: Mapping[str, Channel]) -> list[Fault]:
    """Find caps of channels whose messages are not counted."""
    capped = sorted(name for name, channel in channels.items() if channel.capabilities.hourly_cap is not None)
    return [
        Fault("NOTIFYFLOW_RECIPIENT_CAPS", f"caps {name!r}, which has no caps", f"Name some of {', '.join(capped)}")
        for name in settings.recipient_caps or ()
        if name not in capped
    ]


def _unreached(settings: Settings, channels: Mapping[str, Channel], operations: Sequence[Contact]) -> Iterator[Fault]:
    """Find that no operations recipient can be reached: then nobody is told about a failure."""
    carried = {name for name, channel in channels.items() if channel.providers}
    if any(carried.intersection(contact.addresses) for contact in operations):
        return
    prefixes = {prefix.lower() for name in carried for each in channels[name].providers for prefix in each.setting_prefixes}
    unset = [name for name in sorted(channels) if name not in carried and any(each.is_unset for each in channels[name].faults)]
    if unset and not any(name.startswith(tuple(prefixes)) for name in settings.model_fields_set):
        what = f"nobody can be reached by any of {', '.join(unset)}: none is configured"
        yield Fault("channels", what, "Set NOTIFYFLOW_SMTP_URL and NOTIFYFLOW_MAIL_FROM for mail, or another provider's settings")
    had = sorted({channel for contact in operations for channel in contact.addresses})
    lacks = f"no provider carries {listed(had)}" if had else "it names no recipient with an address that can be used"
    remedy = (
        "Give an address on a channel that is configured, or configure one of these"
        if had
        else "Give the operations team's addresses"
    )
    yield Fault("NOTIFYFLOW_OPS_RECIPIENTS", f"nobody can be reached: {lacks}", remedy)


def _unnoticed(operations: Sequence[Contact], policy: Policy) -> list[Fault]:
    """Return a warning if no operations recipient has an address on a channel that carries notices."""
    open_tiers = [tier for tier in policy.tiers if Severity.WARNING not in tier.shut_for]
    channels = {channel for tier in open_tiers for channel in tier.channels}
    if not operations or any(channels.intersection(contact.addresses) for contact in operations):
        return []
    what = "has no recipient of notices (a provider that refuses us, a cap that was reached), which are not sent to phones"
    return [Fault("NOTIFYFLOW_OPS_RECIPIENTS", what, f"Give one of them an address for {', '.join(sorted(channels))}")]


def _unshown(
    settings: Settings, policies: Mapping[str, Policy], channels: Mapping[str, Channel], operations: Sequence[Contact]
) -> list[Fault]:
    """Return a warning about each person of operations and the directory whose channels never show that a page arrived."""
    showing = [name for name, channel in channels.items() if shows_arrival(channel)]
    found = [fault for each in operations for fault in unshown(f"NOTIFYFLOW_OPS_RECIPIENTS {each.recipient_id}", each, showing)]
    try:
        known = read_file(settings.directory, policies).recipients if settings.directory else {}
    except InvalidInput:  # another warning reports it
        known = {}
    people, _ = validation.check_recipients(
        list(known.values()), lambda channel, address: channels[channel].check_address(address), channels
    )
    where = "NOTIFYFLOW_DIRECTORY recipients.{}"
    return [*found, *(fault for each in people for fault in unshown(where.format(each.recipient_id), each, showing))]


def _within(name: str, faults: Sequence[Fault]) -> list[Fault]:
    return [Fault(f"{name} {fault.where}", fault.what, fault.remedy, line=fault.line) for fault in faults]


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            (Fault(str(path), f"it cannot be read ({type(error).__name__})", "Give a readable text file"),)
        ) from None


def _outgoing_faults(settings: Settings) -> list[Fault]:
    """Return the faults of the monitor and the queue."""
    monitor = Monitor.from_settings(settings)
    return [*(() if monitor is None else monitor.faults), *queue_faults(settings)]


def _warnings(settings: Settings) -> list[Fault]:
    faults: list[Fault] = []
    if settings.trusted_endpoints:
        what = f"exempts {', '.join(settings.trusted_endpoints)} from the rules for outgoing requests"
        faults.append(Fault("NOTIFYFLOW_TRUSTED_ENDPOINTS", what, "Unset it in production"))
    delivery = read_delivery(settings.delivery.get_secret_value())
    if delivery.mode is not Mode.LIVE:
        what = f"is {delivery.mode.value}: not every message goes to its recipient's own address"
        faults.append(Fault("NOTIFYFLOW_DELIVERY", what, "Unset it in production"))
    for name in ("public_url", "secret_key"):
        if not getattr(settings, name):
            faults.append(Fault(f"NOTIFYFLOW_{name.upper()}", "is not set: messages carry no link", "Set it"))
    return faults
