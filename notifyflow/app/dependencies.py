"""Make the dependencies of the use cases from the settings."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from notifyflow.channels.base import Channel
from notifyflow.channels.provider_protocols import FetchesStatus
from notifyflow.channels.webhook import WebhookChannel
from notifyflow.core.delivery.incident_events import Subscriber
from notifyflow.core.delivery.model import Contact
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.ports import Clock, Ids
from notifyflow.core.limits.cap_counts import Caps
from notifyflow.core.limits.mode import Delivery, Mode
from notifyflow.pipeline.transaction.ports import Dependencies, Wiring
from notifyflow.settings import Settings
from notifyflow.storage.store import Store


def make_dependencies(
    settings: Settings,
    wiring: Wiring,
    store: Store,
    clock: Clock,
    ids: Ids,
    *,
    channels: Mapping[str, Channel],
    delivery: Delivery,
    operations: Sequence[Contact],
    operations_policy: Policy,
) -> Dependencies:
    """Return the dependencies of the use cases; the addresses in ``delivery`` have been validated."""
    texting = {name: channel for name, channel in channels.items() if channel.capabilities.has_text_replies}
    return Dependencies(
        transactions=store,
        wiring=wiring,
        clock=clock,
        ids=ids,
        channels={name: channel.capabilities for name, channel in channels.items()},
        check_address=lambda channel, address: channels[channel].check_address(address),
        operations=tuple(operations),
        operations_policy=operations_policy,
        public_url=settings.public_url,
        secret_keys=tuple(key.get_secret_value() for key in settings.secret_key),
        notice=", ".join(filter(None, (settings.notice, delivery.notice))),
        ops_contact=settings.ops_contact,
        lease=timedelta(seconds=settings.lease_s),
        limits=settings.provider_limits,
        doubt_resolution_times={
            provider.name: timedelta(seconds=provider.capabilities.doubts_resolved_within_s)
            for channel in channels.values()
            for provider in channel.providers
        },
        senders={
            name: {provider.name: provider.sender for provider in channel.providers if provider.sender}
            for name, channel in texting.items()
        },
        replying=frozenset(
            (name, provider.name)
            for name, channel in texting.items()
            for provider in channel.providers
            if provider.capabilities.has_replies
        ),
        polled=frozenset(
            provider.name
            for channel in channels.values()
            for provider in channel.providers
            if isinstance(provider, FetchesStatus) and delivery.mode is not Mode.DRY_RUN
        ),
        sends_status_updates=settings.status_updates,
        is_bundling=settings.bundling,
        caps=_caps(settings, channels),
        delivery=delivery,
        subscribers=_subscribers(channels),
        set_size=10 if store.is_embedded else 100,
    )


def _subscribers(channels: Mapping[str, Channel]) -> tuple[Subscriber, ...]:
    webhook = channels.get("webhook")
    return tuple(webhook.subscribers.values()) if isinstance(webhook, WebhookChannel) else ()


def _caps(settings: Settings, channels: Mapping[str, Channel]) -> Caps:
    own = {name: cap for name, channel in channels.items() if (cap := channel.capabilities.hourly_cap) is not None}
    recipients = own if settings.recipient_caps is None else settings.recipient_caps
    return Caps(channels=frozenset(own), recipients=recipients, prefixes=settings.prefix_caps)
