"""What a call about several incidents says, prompt by prompt; pure.

After each prompt somebody may press a key, so that it is known which titles they have heard. A call speaks for 45 s; what it has
no time for is only counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from notifyflow.core.delivery.model import Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.keys import ACKNOWLEDGE, ALL, REPEAT
from notifyflow.core.messages.speech import aloud, stop_hint
from notifyflow.core.text import cut, listed

SPOKEN_S = 45
"""How long a call speaks, unless somebody wants to hear it again."""

TIMES = 4
"""How often a call says its titles at most: for three minutes."""

MOST = 10
"""How many titles fit into the document of a call, each with its address; see ``notifyflow.channels.voice``."""

MOST_CRITICAL = 10
"""A call with more CRITICAL incidents offers no key for all of them."""

_TITLE_LIMIT = 60
_NAME_LIMIT = 60
_SIGNS_A_S = 14.0  # 150 words a minute, as voices read English
_PAUSE_S = 1
_LAST_S = 10
_LINK = "The link in your messages has the others."


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt.

    Attributes:
        text: What is said, in sentences.
        said: How many titles have been said or begun when somebody presses a key at this prompt.
        offers_all: Whether a key may acknowledge everything: the counts and all CRITICAL titles were said.
        waits_s: How long it waits for a key, in seconds.
    """

    text: str
    said: int
    offers_all: bool = False
    waits_s: int = _PAUSE_S


def prompts(content: Content, *, after: int = 0) -> tuple[Prompt, ...]:
    """Return the prompts of a call about several incidents: the counts, each title, and what the keys do.

    Args:
        content: The content of the call, with what it names in ``bundled``.
        after: How many titles have been said; it goes on with the next one, without the counts.
    """
    named, total = content.bundled, sum(content.counts.values())
    critical = content.counts.get(Severity.CRITICAL, 0)
    may_offer = offers_all(critical, sum(each.severity is Severity.CRITICAL for each in named))
    spoken = [] if after else [Prompt(text=_opening(content), said=0, offers_all=may_offer and not critical)]
    for number, each in enumerate(named[after:], start=after + 1):
        is_offered = may_offer and number >= critical
        offer = f" {_offer(total)}" if is_offered and number == critical else ""
        spoken.append(Prompt(text=title(each) + offer, said=number, offers_all=is_offered))
    spoken.append(Prompt(text=_ending(content, offers_all=may_offer), said=len(named), offers_all=may_offer, waits_s=_LAST_S))
    return tuple(spoken)


def offers_all(critical: int, named: int) -> bool:
    """Return whether a call offers a key for everything.

    Args:
        critical: How many CRITICAL incidents it carries.
        named: How many of them it names.
    """
    return critical <= MOST_CRITICAL and named == critical


def names(contents: Sequence[Content]) -> int:
    """Return how many titles a call has time for; at least one. ``contents`` are all that it carries, in its order."""
    counts: dict[Severity, int] = {}
    for each in contents:
        counts[each.severity] = counts.get(each.severity, 0) + 1
    opening = f"{_counted(contents[0], counts)} {_offer(len(contents))}"
    ending = f"{_keys(len(contents), offers_all=True)} {_LINK} {stop_hint(contents[0])}"
    left_s = SPOKEN_S - _seconds(opening) - _seconds(ending)
    number = 0
    for each in contents[:MOST]:
        left_s -= _seconds(title(each))
        if left_s < 0:
            break
        number += 1
    return max(1, number)


def title(content: Content) -> str:
    """Return the sentences for one title."""
    said = aloud(cut(content.title, _TITLE_LIMIT)) or "its title cannot be said"
    return f"{content.severity.capitalize()}: {said}."


def seconds(said: Iterable[Prompt]) -> float:
    """Return how long some prompts speak, the pauses between them included."""
    return sum(_seconds(prompt.text) for prompt in said)


def _opening(content: Content) -> str:
    """Return the first prompt: the counts by severity, the worst first, and the keys that hold from now on."""
    opening = _counted(content, content.counts)
    return opening if content.counts.get(Severity.CRITICAL, 0) else f"{opening} {_offer(sum(content.counts.values()))}"


def _counted(content: Content, counts: Mapping[Severity, int]) -> str:
    numbers = [f"{counts[each]} {each.lower()}" for each in Severity if counts.get(each)]
    alerts = aloud(f"{listed(numbers)} alerts for {cut(content.recipient_name, _NAME_LIMIT)}")
    notice = f"{aloud(content.notice)}. " if content.notice else ""
    return f"{notice}{alerts}. Press {ACKNOWLEDGE} to acknowledge what you have heard, {REPEAT} to repeat."


def _offer(total: int) -> str:
    return f"Press {ALL} to acknowledge all {total}."


def _ending(content: Content, *, offers_all: bool) -> str:
    total = sum(content.counts.values())
    said = [_keys(total, offers_all=offers_all), stop_hint(content)]
    return " ".join(said if offers_all or not content.unnamed else [said[0], _LINK, said[1]])


def _keys(total: int, *, offers_all: bool) -> str:
    everything = f", {ALL} for all {total}" if offers_all else ""
    return f"Press {ACKNOWLEDGE} to acknowledge what you have heard, {REPEAT} to repeat{everything}."


def _seconds(text: str) -> float:
    return len(text) / _SIGNS_A_S + _PAUSE_S
