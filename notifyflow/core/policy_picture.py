"""Draws a policy for somebody who sees it for the first time: an incident, tier by tier, reaches a person; pure."""

from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape

from notifyflow.core.diagram import Arrow, Drawing, identifier
from notifyflow.core.policy import Failed, Policy, Rule, Tier
from notifyflow.core.tracks import Hue, Track

WIDTH = 640
_LEFT, _MIDDLE, _RIGHT = 70, 312, 570
_BOX, _TIER, _STEP = 46, 272, 88
_PAGED = "operations is paged"
_WORDS = {"slack": "Slack", "teams": "Teams", "sms": "text message", "voice": "phone call"}
_INK, _QUIET, _RED, _BLUE, _GREEN = "#1f2328", "#57606a", "#b42318", "#1f5fbf", "#1a7f37"


def outline(policy: Policy) -> Drawing:
    """Return the picture as a diagram."""
    tiers = {f"tier_{number}": tier for number, tier in enumerate(policy.tiers, start=1)}
    steps = ["incident", *tiers, "operations"]
    conditions = ["", *_conditions(policy)]
    return Drawing(
        name=identifier(f"policy {policy.name}"),
        title=f"An incident under the policy {policy.name}",
        states={
            "incident": "incident",
            **{step: _channels(tier) for step, tier in tiers.items()},
            "operations": _PAGED,
            "person": "a person acknowledges",
        },
        initial_states=(),
        ends=(),
        arrows=(
            *(
                Arrow(source=source, target=target, labels=tuple(filter(None, [condition])), track=Track.USUAL)
                for (source, target), condition in zip(pairwise(steps), conditions, strict=True)
            ),
            *(Arrow(source=step, target="person", labels=(), track=Track.STOP) for step in tiers),
        ),
        hues={"incident": Hue.BAD, "operations": Hue.BAD, "person": Hue.GOOD, **dict.fromkeys(tiers, Hue.WAITING)},
    )


def overview(policy: Policy) -> str:
    """Return the picture as SVG."""
    tops = [20 + number * _STEP for number in range(len(policy.tiers) + 1)]
    height = tops[-1] + _BOX + 20
    centre = (tops[0] + tops[-2] + _BOX) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' role="img" font-family="system-ui, sans-serif" font-size="17" text-anchor="middle">',
        f"<title>An incident under the policy {escape(policy.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 10 5 0 10z" fill="{_QUIET}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="white"/>',
        *_box(_LEFT, tops[0], 110, "incident", _RED, is_full=True),
        _arrow(_LEFT + 55, tops[0] + _BOX / 2, _MIDDLE - _TIER / 2 - 3, tops[0] + _BOX / 2),
    ]
    for tier, top in zip(policy.tiers, tops, strict=False):
        parts += _box(_MIDDLE, top, _TIER, _channels(tier), _BLUE)
        parts.append(_arrow(_MIDDLE + _TIER / 2, top + _BOX / 2, _RIGHT - 42, centre + (top + _BOX / 2 - centre) / 4))
    for (above, below), condition in zip(pairwise(tops), _conditions(policy), strict=True):
        parts.append(_arrow(_MIDDLE, above + _BOX, _MIDDLE, below - 2))
        parts.append(_text(_MIDDLE + 14, (above + _BOX + below) / 2 + 5, condition, _QUIET, 'font-size="15" text-anchor="start"'))
    parts += _box(_MIDDLE, tops[-1], _TIER, _PAGED, _RED)
    parts += _person(_RIGHT, centre)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _channels(tier: Tier) -> str:
    return ", ".join(_WORDS.get(channel, channel) for channel in tier.channels)


def _conditions(policy: Policy) -> Iterator[str]:
    """Yield what opens each tier but the first, and when operations is paged."""
    yield from (f"if {' or '.join(map(_condition, tier.rules))}" for tier in policy.tiers[1:])
    yield "if nobody is reached"


def _condition(rule: Rule) -> str:
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
