import time
from collections.abc import Iterator

import pytest

from tests.integration.alone import Gateway, gateway
from tests.integration.rude.line import ordinary
from tests.integration.telling import telling_engine


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, int]]:
    """A gateway, and how many files it has open when it is at rest."""
    folder = tmp_path_factory.mktemp("rude")
    with (
        telling_engine(folder) as engine,
        gateway(folder, engine, serving_engine_connections="1100") as placed,
    ):
        for _ in range(50):
            ordinary(placed)
        time.sleep(5)  # its connections to the engine close after 2 to 4
        yield placed, placed.open_files + 1  # the last request's: nobody need wait for that


@pytest.fixture
def placed(running: tuple[Gateway, int]) -> Iterator[Gateway]:
    """Afterwards it answers, and is at rest."""
    placed, open_files = running
    yield placed
    ordinary(placed)
    placed.come_to_rest(open_files)
