import pytest

from notifyflow.cli.frame.serving import connections_within


@pytest.mark.parametrize("files", [8, 64, 256, 1024, 4096, 20_000, 1_048_576])
@pytest.mark.parametrize("wanted", [1, 1_000, 100_000])
def test_files_are_left_for_delivery_whatever_comes_in(files: int, wanted: int) -> None:
    connections = connections_within(files, wanted)
    assert 1 <= connections <= wanted
    assert connections <= files // 2 or files - connections >= 512


def test_the_configured_number_of_connections_is_allowed_if_there_are_enough_files() -> None:
    assert connections_within(20_000, 1_000) == 1_000
    assert connections_within(1_024, 1_000) == 512
