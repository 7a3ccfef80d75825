"""Holds what is shown against rows: whoever reads that a message was sent, or that somebody was told, can rely on it.

It reads the words only, as people do: those that claim something stand below, and a claim is of the ways that its clause names.
"""

import html
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import replace

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Kind, Result
from notifyflow.core.insight.views import IncidentStatus

WAYS: Mapping[str, str] = {
    "mail": "email",
    "text": "sms",
    "call": "voice",
    "push message": "push",
    "Slack message": "slack",
    "Teams message": "teams",
}
_CLAIMS = re.compile(r"\b(went out|called|sent|placed|told|delivered|reached)\b")
_NO_CLAIMS = re.compile(
    r"\b(is|are|be|being|not|when|until|still) (called|sent|placed|told|delivered|reached)\b"  # no claim
    r"|\b(due and |can )not \w+|about to be \w+|counts as reached|\d+ of \d+ recipients? reached|, unconfirmed\b"
)
_NOTHING = re.compile(r"\bnothing (has been sent|was sent|went out|has gone out)\b")
_IN_ONE = re.compile(r"\b(told|counted) in one ([\w ]+?) with\b")
_WAY = re.compile("|".join(rf"\b{way}\b" for way in WAYS))


def is_accepted(row: NotificationFacts) -> bool:
    """Return whether a provider took on any attempt: it said so, or reported on it later."""
    taken = (Result.ACCEPTED, Result.DELIVERED)
    return any(each.result in taken or each.evidence is not None for each in row.attempts)


def is_carried(row: NotificationFacts, *, is_named: bool) -> bool:
    """Return whether a provider took on a message about several incidents that named this one, or only counted it."""
    carried = tuple(each for each in row.attempts if each.sent_with is not None and each.is_named is is_named)
    return is_accepted(replace(row, attempts=carried))


def pages(status: IncidentStatus, people: Collection[str] | None = None) -> list[NotificationFacts]:
    """Return the pages of an incident, or of some of its recipients, by id or name."""
    found = (
        each for each in status.escalations if people is None or {each.facts.recipient_id, each.contact.name}.intersection(people)
    )
    return [row for each in found for row in each.notifications if row.kind is Kind.PAGE]


def untrue(
    sentences: Iterable[str], rows: Collection[NotificationFacts], operations: IncidentStatus | None, *, is_of_one: bool = False
) -> Iterator[str]:
    """Yield the sentences that claim what no row shows.

    Args:
        sentences: What is shown.
        rows: The pages that it may speak of.
        operations: The operations incident of which it may say that it told somebody.
        is_of_one: Whether it speaks of all of these pages, so that "nothing was sent" has to hold of each.
    """
    accepted = {row.channel for row in rows if is_accepted(row)}
    carried = {verb: {row.channel for row in rows if is_carried(row, is_named=verb == "told")} for verb in ("told", "counted")}
    is_told = operations is not None and any(map(is_accepted, pages(operations)))
    for each in sentences:
        for clause in re.split(r"[;:·|]|\. |, | - ", each):
            if (several := _IN_ONE.search(clause)) and WAYS.get(several[2], several[2]) in carried[several[1]]:
                continue
            if several or not _is_true(clause, accepted, is_told=is_told) or (is_of_one and accepted and _NOTHING.search(clause)):
                yield each


def _is_true(clause: str, accepted: Set[str], *, is_told: bool) -> bool:
    claim = _CLAIMS.search(_NO_CLAIMS.sub("", _NOTHING.sub("", clause)))
    if claim is None:
        return True
    if claim[1] == "told":
        return is_told
    if claim[1] == "called":
        return "voice" in accepted
    named = {WAYS[way] for way in _WAY.findall(clause)}
    return named <= accepted if named else bool(accepted)


def blocks(page: str, mark: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the parts of a page that begin with some markup: the name that stands out in each, and its sentences."""
    for part in page.split(mark)[1:]:
        part = re.split(r"</article>|</ol>|</section>", part)[0] if "article" not in mark else part.split("</article>")[0]
        name = re.search(r"<(?:h3|strong)[^>]*>(?:<a[^>]*>)?([^<]*)", part)
        yield html.unescape(name[1]) if name else "", words(part)


def words(markup: str) -> list[str]:
    """Return the sentences of markup: the text of each block by itself."""
    texts = re.split(
        r"</?(?:p|li|h\d|dd|dt|dl|div|ol|ul|summary|details|section|article|header|form|button|main)\b[^>]*>", markup
    )
    return [line for each in texts if (line := " ".join(html.unescape(re.sub(r"<[^>]+>", "", each)).split()))]
