from __future__ import annotations

import pytest

from lazyflow.testing import Harness
from tests import doors
from tests.drivers import HARNESSES

pytest_plugins = ["lazyflow.testing.plugin", "pytester"]


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest) -> Harness:
    """Every backend of this repository in turn; those whose engine is not installed are skipped with the reason."""
    try:
        return HARNESSES[request.param]()
    except ImportError as error:
        pytest.skip(f"{request.param} is not installed: {error}")


@pytest.fixture(params=[doors.TORNADO, doors.ASGI], ids=lambda door: door.name)
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> doors.Door:
    """Each door of the server in turn: what the test serves is served there."""
    chosen: doors.Door = request.param
    monkeypatch.setattr(doors, "chosen", chosen)
    return chosen
