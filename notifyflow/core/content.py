"""What is said, once for all channels: title, facts, times, links; how it looks is each channel's own affair."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifyflow.core.model import Kind, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one recipient is told, in words that are ready to be set.

    Attributes:
        kind: Page or news.
        severity: How bad it is.
        title: One line, free of control characters.
        body: More lines; may be empty.
        key: The incident's key.
        recipient_name: Who is spoken to.
        occurred: When it happened, in the recipient's zone ("Wed 25 Nov 2026, 03:14 CET").
        occurred_utc: The same in UTC; empty where the zone is UTC.
        delayed: How late the page leaves ("delayed 2 h 03 m"); empty when it is not.
        source: What reported it; may be empty.
        url: Where to look; None without.
        link: The signed link to acknowledge; None without a public URL or secret key.
        labels: Free facts.
        notice: A mark to show in every message ("sandbox", a redirected delivery); empty in production.
    """

    kind: Kind
    severity: Severity
    title: str
    key: str
    recipient_name: str
    occurred: str
    body: str = ""
    occurred_utc: str = ""
    delayed: str = ""
    source: str = ""
    url: str | None = None
    link: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""
