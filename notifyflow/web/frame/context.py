"""The services that the routes call, composed by ``NotifyFlow``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from notifyflow.channels.aws.sns_messages import SnsReceiver
from notifyflow.channels.base import Channel
from notifyflow.service.accounts.access import Access
from notifyflow.service.accounts.users import Users
from notifyflow.service.oncall.feeds import Feeds
from notifyflow.service.replica import ListSource
from notifyflow.service.service import Service
from notifyflow.web.frame.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The services that the routes call; every call blocks, so it is made from a worker thread.

    Attributes:
        service: The use cases; a method that changes something has committed it on return.
        access: Authorises the holders of API keys.
        site: The site: its URL, its cookies and its proxies.
        channels: The channels by name; their providers verify and read their callbacks.
        sns: Verifies and reads the messages of SNS; None if no topic is configured.
        most_recipients: How many recipients one request may name.
        notice: A mark that every page about an incident shows.
        list_source: Where lists are read, if that may be a replica; otherwise None.
        metrics_hosts: The networks from which the metrics are read without an API key.
    """

    service: Service
    access: Access
    users: Users
    feeds: Feeds
    site: Site
    channels: Mapping[str, Channel]
    sns: SnsReceiver | None
    new_id: Callable[[], str]
    most_recipients: int
    version: str
    notice: str = ""
    list_source: ListSource | None = None
    metrics_hosts: tuple[IPv4Network | IPv6Network, ...] = ()
