import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feedback.log import Log, open_log
from ops.demo.brokers import brokers


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker: the one that is named, or one of its own."""
    if named := os.environ.get("THUMBWHEEL_TEST_KAFKA"):
        yield named
        return
    with brokers(tmp_path_factory.mktemp("kafka")) as (broker,):
        yield broker.address


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.integration)])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Log]]:
    """Opens the same log as another process would; every log closes at the end."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/log.db"
    else:
        prefix = f"t{uuid.uuid4().hex}."
        url = f"kafka://{request.getfixturevalue('kafka')}?partitions=1&prefix={prefix}"
    opened: list[Log] = []

    def open_one() -> Log:
        opened.append(open_log(url))
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


@pytest.fixture
def log(open_again: Callable[[], Log]) -> Log:
    return open_again()
