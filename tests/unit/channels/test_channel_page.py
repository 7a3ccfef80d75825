"""The page about adding a channel names everything that a channel can declare and a provider can do."""

from dataclasses import fields
from pathlib import Path

import pytest

from notifyflow.channels import provider_protocols
from notifyflow.core.capabilities import ChannelCapabilities

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "add-a-channel.rst").read_text(encoding="utf-8")
ABILITIES = {
    kind.__name__: [name for name in vars(kind) if not name.startswith("_")]
    for kind in vars(provider_protocols).values()
    if isinstance(kind, type) and kind.__module__ == provider_protocols.__name__
}


@pytest.mark.parametrize("name", [field.name for field in fields(ChannelCapabilities)])
def test_every_trait_is_explained(name: str) -> None:
    assert f"   * - ``{name}``\n     - " in PAGE


@pytest.mark.parametrize(("name", "methods"), ABILITIES.items())
def test_every_ability_is_listed_with_its_method(name: str, methods: list[str]) -> None:
    (method,) = methods
    assert f"   * - ``{name}``\n     - ``{method}``\n" in PAGE
