import gc

import pytest
from hypothesis import settings

# A machine that is busy is no fault of ours.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# To look through all that was loaded for cycles, again and again, takes a tenth of the time.
gc.set_threshold(100_000, 50, 100)


def pytest_collection_finish() -> None:
    """What was imported stays: the collections at the end, five of them, need not walk it."""
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
