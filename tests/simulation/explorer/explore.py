"""Plays stories, judges them, and shrinks those that fail."""

import traceback
from dataclasses import dataclass, field, replace

from tests.simulation.explorer import oracle
from tests.simulation.explorer.heartbeats import JobStage
from tests.simulation.explorer.oracle import Fault, Verdict
from tests.simulation.explorer.silences import SilencedStage, silenced
from tests.simulation.explorer.stage import Seen, Stage, opened
from tests.simulation.explorer.story import Story, draw, minute, shorter
from tests.simulation.scenario import RunResult, Variant

_MOST_TRIES = 60


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What became of a story.

    Attributes:
        story: The story; the shortest that fails, where it fails.
        verdict: What the oracle says.
        seen: What was seen of it.
        exempt: How often each exemption was used in the story as it was drawn.
    """

    story: Story
    verdict: Verdict
    seen: Seen
    exempt: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Tell a story that failed, and what was seen."""
        sent = [
            f"{minute(each.at_s)} {each.channel} to {each.address.partition('@')[0]}"
            f"{'' if each.is_accepted else ', not accepted'}"
            for each in self.seen.sent
        ]
        shown = [*sent[:12], *([f"… and {len(sent) - 12} more"] if len(sent) > 12 else [])]
        lines = "\n".join(f"  {each}" for each in shown) or "  nothing"
        faults = "\n".join(f"  ✕ {each.words}" for each in self.verdict.faults)
        return f"{self.story}\n Seen:\n{lines}\n{faults}\n"


def play(story: Story) -> Explored:
    """Play a story, and judge it."""
    with opened() as store:
        stage = _stage(story)(store, story)
        try:
            seen = stage.play(oracle.longest_s(story))
        except Exception as error:  # noqa: BLE001 - whatever the product raises where it should not
            place = traceback.extract_tb(error.__traceback__)[-1]
            words = f"{type(error).__name__}: {error} ({place.filename.rpartition('/')[2]}:{place.lineno})"
            fault = Fault(type(error).__name__, words)
            return Explored(story=story, verdict=Verdict(faults=[fault]), seen=stage.observed)
    verdict = oracle.judge(story, seen)
    return Explored(story=story, verdict=verdict, seen=seen, exempt=dict(verdict.exempt))


def _stage(story: Story) -> type[Stage]:
    if story.is_of_job:
        return JobStage
    return SilencedStage if story.is_silenced else Stage


def explore(seed: int, *, is_shrinking: bool = True, is_of_job: bool = False, is_silenced: bool = False) -> Explored:
    """Draw, play and judge a story, and shrink it if it fails."""
    story = replace(draw(seed), is_of_job=is_of_job)
    found = play(silenced(story) if is_silenced else story)
    return shrink(found) if found.verdict.faults and is_shrinking else found


def tell(seed: int, variant: Variant) -> RunResult:
    """Play a story as a world of a mutant; it has no parts that a variant could replace."""
    del variant
    faults = explore(seed, is_shrinking=False).verdict.faults
    return RunResult(seed, (), "", {}, violation=faults[0].words if faults else "")


def shrink(found: Explored) -> Explored:
    """Return the simplest story near one that fails, with a fault of the same kind."""
    kind, exempt, tries, is_shorter = found.verdict.faults[0].kind, found.exempt, 0, True
    while is_shorter and tries < _MOST_TRIES:
        is_shorter = False
        for story in shorter(found.story):
            tries += 1
            simpler = play(story)
            if any(fault.kind == kind for fault in simpler.verdict.faults):
                found, is_shorter = simpler, True
                break
    return Explored(story=found.story, verdict=found.verdict, seen=found.seen, exempt=exempt)
