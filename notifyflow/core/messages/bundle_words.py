"""The words of a bundle: how many incidents waited, and a line for each, with its own way to acknowledge it."""

from collections.abc import Sequence
from typing import Any

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import DETAILS
from notifyflow.core.messages.content import Content

_TITLE_LIMIT = 100
_KEY_LIMIT = 60


def bundle_of(contents: Sequence[Content], *, oldest: Content) -> Content:
    """Return the content of one message about several incidents.

    It has no link and no reply code of its own, which would acknowledge one of them only. Templates that know nothing of bundles
    show the lines as its body.

    Args:
        contents: The content for each incident, the most severe first.
        oldest: The content that has waited longest.
    """
    nothing: dict[str, Any] = dict.fromkeys((*DETAILS, "url", "link", "occurred_at"))
    nothing |= dict.fromkeys(("occurred_utc", "delayed", "reply", "also_paged", "acknowledged"), "")
    return replace(
        contents[0],
        **nothing,
        key=text.listed([each.key for each in contents]),
        title=f"{len(contents)} incidents waited while you were quiet",
        body="\n".join(map(_line, contents)),
        labels={},
        occurred=f"since {oldest.occurred}",
        bundled=tuple(contents),
    )


def _line(content: Content) -> str:
    delayed = f", {content.delayed}" if content.delayed else ""
    told = f"{content.severity}: {text.cut(content.title, _TITLE_LIMIT)}, {content.occurred}{delayed}"
    ways = (
        text.cut(content.key, _KEY_LIMIT),
        content.reply and f"reply {content.reply}",
        content.link and f"acknowledge: {content.link}",
    )
    return " · ".join(filter(None, (told, *ways)))
