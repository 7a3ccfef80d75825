"""Draws how an incident goes on, box by box, until a person acknowledges: the tiers of a policy, the steps of a chain; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from notifyflow.core.delivery.policy import Failed, OpeningRule, Policy, Tier, opening_rules
from notifyflow.core.diagrams.diagram import Arrow, Drawing, identifier
from notifyflow.core.diagrams.layout import EdgeKind, StateColour
from notifyflow.core.messages.ways import way
from notifyflow.core.text import cut, listed, span
from notifyflow.core.upkeep.chain_forecast import ExpectedChain, ExpectedStep

WIDTH = 640
_LEFT, _MIDDLE, _RIGHT = 70, 312, 570
_BOX, _WIDE, _STEP = 46, 272, 88
_LONGEST_NAME = 30
_INK, _QUIET, _RED, _BLUE, _GREEN = "#1f2328", "#57606a", "#b42318", "#1f5fbf", "#1a7f37"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPicture:
    """The picture of a policy's tiers, or of a chain's steps.

    Attributes:
        name: Its name, for an identifier: ``policy default``.
        title: The title that readers see.
        kind: The kind of a box: ``tier`` or ``step``.
        boxes: The channels or people in each box, in order.
        conditions: When each box but the first is reached, and when operations is told.
        ending: The event after the last box.
    """

    name: str
    title: str
    kind: str
    boxes: Sequence[str]
    conditions: Sequence[str]
    ending: str


def of_policy(policy: Policy) -> TierPicture:
    """Return the tiers of a policy as a picture."""
    return TierPicture(
        name=f"policy {policy.name}",
        title=f"An incident under the policy {policy.name}",
        kind="tier",
        boxes=[", ".join(map(way, tier.channels)) for tier in policy.tiers],
        conditions=[*(_opening(policy.tiers[number:]) for number in range(1, len(policy.tiers))), "if nobody is reached"],
        ending="operations is paged",
    )


def of_chain(name: str, chain: ExpectedChain) -> TierPicture:
    """Return a chain as a picture; ``name`` is its subject in words."""
    names = {each.recipient_id: each.name for each in chain.contacts}
    times = [*(each.after for each in chain.steps), chain.over_after]
    waits = [after - before for before, after in pairwise(times)]
    return TierPicture(
        name=f"chain {name}",
        title=f"The chain of {name}",
        kind="step",
        boxes=[_people(each, names) for each in chain.steps],
        conditions=[f"{span(wait)}, or all fail" if wait else "at once" for wait in waits],
        ending="operations is told",
    )


def drawing(picture: TierPicture) -> Drawing:
    """Return the picture as a diagram."""
    boxes = {f"{picture.kind}_{number}": text for number, text in enumerate(picture.boxes, start=1)}
    ways = pairwise(["incident", *boxes, "operations"])
    return Drawing(
        name=identifier(picture.name),
        title=picture.title,
        states={"incident": "incident", **boxes, "operations": picture.ending, "person": "a person acknowledges"},
        initial_states=(),
        ends=(),
        arrows=(
            *(
                Arrow(source=source, target=target, labels=tuple(filter(None, [condition])), kind=EdgeKind.USUAL)
                for (source, target), condition in zip(ways, ["", *picture.conditions], strict=True)
            ),
            *(Arrow(source=each, target="person", labels=(), kind=EdgeKind.STOP) for each in boxes),
        ),
        colours={
            "incident": StateColour.BAD,
            "operations": StateColour.BAD,
            "person": StateColour.GOOD,
            **dict.fromkeys(boxes, StateColour.WAITING),
        },
    )


def svg(picture: TierPicture) -> str:
    """Return the picture as SVG."""
    tops = [20 + number * _STEP for number in range(len(picture.boxes) + 1)]
    height = tops[-1] + _BOX + 20
    centre = (tops[0] + tops[-2] + _BOX) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' role="img" font-family="system-ui, sans-serif" font-size="17" text-anchor="middle">',
        f"<title>{escape(picture.title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 10 5 0 10z" fill="{_QUIET}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="white"/>',
        *_box(_LEFT, tops[0], 110, "incident", _RED, is_full=True),
        _arrow(_LEFT + 55, tops[0] + _BOX / 2, _MIDDLE - _WIDE / 2 - 3, tops[0] + _BOX / 2),
    ]
    for text, top in zip(picture.boxes, tops, strict=False):
        parts += _box(_MIDDLE, top, _WIDE, cut(text, _LONGEST_NAME), _BLUE)
        parts.append(_arrow(_MIDDLE + _WIDE / 2, top + _BOX / 2, _RIGHT - 42, centre + (top + _BOX / 2 - centre) / 4))
    for (above, below), condition in zip(pairwise(tops), picture.conditions, strict=True):
        parts.append(_arrow(_MIDDLE, above + _BOX, _MIDDLE, below - 2))
        parts.append(_text(_MIDDLE + 14, (above + _BOX + below) / 2 + 5, condition, _QUIET, 'font-size="15" text-anchor="start"'))
    parts += _box(_MIDDLE, tops[-1], _WIDE, picture.ending, _RED)
    parts += _person(_RIGHT, centre)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _people(step: ExpectedStep, names: Mapping[str, str]) -> str:
    """Return the people of a step, by name and schedule."""
    people = listed([names[each] for each in step.people]) or "nobody"
    schedules = f" ({listed(list(step.duty))})" if step.duty else ""
    return people + schedules


def _opening(ahead: Sequence[Tier]) -> str:
    return f"if {' or '.join(map(_condition, opening_rules(ahead)))}"


def _condition(rule: OpeningRule) -> str:
    if isinstance(rule, Failed):
        return f"{rule.at_least} fail" if rule.at_least > 1 else "it fails"
    return f"nobody acknowledges in {rule.after.total_seconds() / 60:g} min"


def _person(x: float, y: float) -> Iterator[str]:
    yield f'<circle cx="{x}" cy="{y - 24}" r="16" fill="{_GREEN}"/>'
    yield f'<path d="M{x - 30} {y + 28}a30 30 0 0 1 60 0z" fill="{_GREEN}"/>'
    yield _text(x, y + 52, "a person", _GREEN, 'font-weight="600"')
    yield _text(x, y + 73, "acknowledges", _GREEN)


def _box(x: float, y: float, width: float, text: str, colour: str, *, is_full: bool = False) -> Iterator[str]:
    fill, ink = (colour, "white") if is_full else ("white", colour)
    size = f'x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{_BOX}" rx="8"'
    yield f'<rect {size} fill="{fill}" stroke="{colour}" stroke-width="2"/>'
    yield _text(x, y + _BOX / 2 + 6, text, ink, 'font-weight="600"')


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:g} {y:g} {to_x:g} {to_y:g}" stroke="{_QUIET}" stroke-width="2" marker-end="url(#tip)"/>'


def _text(x: float, y: float, text: str, colour: str = _INK, style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}" {style}>{escape(text)}</text>'
