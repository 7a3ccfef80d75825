"""The words of a bundle: how many incidents it is about, and a line for each that it names."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import DETAILS, Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.quoting import quoted

_TITLE_LIMIT = 100
_KEY_LIMIT = 60


def bundle_of(
    contents: Sequence[Content],
    *,
    named: int,
    oldest: Content,
    is_after_quiet: bool = False,
    link: str | None = None,
    reply: str = "",
) -> Content:
    """Return the content of one message about several incidents.

    Templates that know nothing of bundles show the lines as its body.

    Args:
        contents: The content for each incident, the most severe first.
        named: How many of them the message names at most.
        oldest: The content that has waited longest.
        is_after_quiet: Whether all of them waited in the recipient's quiet hours.
        link: The bundle's own link, to a page about all of them; each line has that of its incident, too.
        reply: The reply that acknowledges all of them; may be empty.
    """
    counted = Counter(each.severity for each in contents)
    counts = {severity: counted[severity] for severity in Severity if severity in counted}
    updates = {each.status_update for each in contents}
    unnamed = max(0, len(contents) - named)
    lines = [*map(_line, contents[:named]), *([f"and {unnamed} more"] if unnamed else [])]
    nothing: dict[str, Any] = dict.fromkeys((*DETAILS, "url", "occurred_at"))
    nothing |= dict.fromkeys(("occurred_utc", "also_paged", "acknowledged"), "")
    content = replace(
        contents[0],
        **nothing,
        key=text.listed([each.key for each in contents]),
        body="\n".join(lines),
        labels={},
        link=link,
        reply=reply,
        delayed=oldest.delayed,
        occurred=f"since {oldest.occurred}",
        status_update=updates.pop() if len(updates) == 1 else "changed",
        is_resolved=all(each.is_resolved for each in contents),
        bundled=tuple(contents[:named]),
        counts=counts,
        unnamed=unnamed,
    )
    what = "incidents waited while you were quiet" if is_after_quiet else "incidents"
    return replace(content, title=f"{len(contents)} {what}: {content.counted}")


def _line(content: Content) -> str:
    delayed = f", {content.delayed}" if content.delayed else ""
    told = f"{content.status_update or content.severity}: {text.cut(content.title, _TITLE_LIMIT)}, {content.occurred}{delayed}"
    way = content.link and f"acknowledge: {content.link}"
    return " · ".join(filter(None, (told, quoted(text.cut(content.key, _KEY_LIMIT)), way)))
