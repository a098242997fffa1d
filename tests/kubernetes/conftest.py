"""An API server, empty or with our chart on it."""

from collections.abc import Iterator

import pytest

from tests.helm.chart import CHART
from tests.kubernetes.apiserver import ApiServer, api_server
from tests.kubernetes.clients import DEMO, helm, worked


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with api_server() as found:
        yield found


@pytest.fixture
def installed(api: ApiServer) -> ApiServer:
    worked(helm(api, "install", "tw", CHART, "-f", DEMO, "--wait"))
    return api
