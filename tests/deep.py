"""What runs in ``scripts/test --deep`` only, and the sizes that properties have there."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

IS_DEEP = "TESTS_DEEP" in os.environ
"""Whether this is the deep run."""

RULES = 2_000
"""How many examples of a rule the deep run draws at least."""
DATABASES = 300
"""How many it draws at least where each has a database or a server of its own."""

_EXAMPLES = Path(__file__).parents[1] / ".hypothesis" / "deep"

settings.register_profile(
    "deep",
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    database=DirectoryBasedExampleDatabase(_EXAMPLES),
)


def examples(everyday: int, *, deep: int = DATABASES) -> int:
    """Return how many examples a property draws that is no test function, and so is not found by ``deepen``."""
    return max(everyday, deep) if IS_DEEP else everyday


def deepen(item: pytest.Item) -> None:
    """Let a property draw as many examples as the deep run wants, and give it the time for them."""
    test = getattr(item, "obj", None)
    drawn = getattr(test, "_hypothesis_internal_use_settings", None)  # where Hypothesis keeps what ``settings`` decorates
    if drawn is None:
        return
    wanted = RULES if item.path.is_relative_to(Path(__file__).parent / "unit") else DATABASES
    test._hypothesis_internal_use_settings = settings(drawn, max_examples=max(drawn.max_examples, wanted))
    item.add_marker(pytest.mark.timeout(3_600))
