from __future__ import annotations

import pytest

from lazyflow.testing import Harness
from tests.drivers import HARNESSES

pytest_plugins = ["lazyflow.testing.plugin", "pytester"]


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest) -> Harness:
    """Every backend of this repository in turn; those whose engine is not installed are skipped with the reason."""
    try:
        return HARNESSES[request.param]()
    except ImportError as error:
        pytest.skip(f"{request.param} is not installed: {error}")
