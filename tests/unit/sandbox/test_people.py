"""The addresses and the providers of the sandbox follow from its stand-ins."""

from notifyflow.sandbox import Sandbox


def test_a_person_has_an_address_of_their_own_on_every_channel_that_is_played() -> None:
    sandbox = Sandbox(has_spares=True)
    ada, ben = sandbox.addresses(1), sandbox.addresses(2)
    assert set(ada) == set(ben) == set(sandbox.providers)
    assert not set(ada.values()) & set(ben.values())


def test_what_a_provider_needs_is_among_the_settings_of_the_sandbox() -> None:
    sandbox = Sandbox(has_spares=True)
    needed = {name for providers in sandbox.providers.values() for names in providers.values() for name in names}
    assert not {f"NOTIFYFLOW_{name}" for name in needed} - set(sandbox.settings())
