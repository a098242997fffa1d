import gc

import pytest

# To look through all that was loaded for cycles, again and again, takes a tenth of the time.
gc.set_threshold(100_000, 50, 100)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
