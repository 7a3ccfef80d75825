"""What the unit tests share: coverage rests while examples are drawn."""

import pytest


@pytest.fixture(autouse=True)
def _measured_once(request: pytest.FixtureRequest) -> None:
    """Measure coverage by the examples that are written down; those that are drawn go again through the same lines."""
    if request.node.get_closest_marker("hypothesis") is not None:
        request.getfixturevalue("unmeasured")
