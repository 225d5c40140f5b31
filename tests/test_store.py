"""Files that several processes share: what is not whole, and ours, is not there; and never more than was allowed."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat
from pathlib import Path

import pytest

from lazyflow import store as module
from lazyflow.store import Store
from tests.processes import start

MIB = 2**20


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", 32 * MIB)


def files(store: Store) -> list[Path]:
    return sorted(store.directory.rglob("*.cells"))


def only_file(store: Store) -> Path:
    (found,) = files(store)
    return found


def read(store: Store, subject: str = "subject") -> list[bytes]:
    return sorted(store.read(subject))


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_what_is_written_is_read_by_another(store: Store) -> None:
    assert read(store) == []
    store.write("subject", "a", b"one")
    store.write("subject", "b", b"")
    store.write("other \udcff", "a", b"three\n")
    assert read(Store(store.directory, 1)) == [b"", b"one"]
    assert read(store, "other \udcff") == [b"three\n"]
    assert read(store, "no such") == []


def test_the_same_part_is_replaced(store: Store) -> None:
    store.write("subject", "a", b"one")
    store.write("subject", "a", b"two")
    assert read(store) == [b"two"]


def test_a_file_cut_anywhere_is_a_miss(store: Store) -> None:
    store.write("subject", "a", b"some text\n")
    path = only_file(store)
    whole = path.read_bytes()
    for length in range(len(whole)):
        os.truncate(path, length)
        assert read(store) == [], length
        path.write_bytes(whole)
    path.write_bytes(whole + b"\0")
    assert read(store) == [], "too long"
    path.write_bytes(whole)
    assert read(store) == [b"some text\n"]


def test_a_flipped_bit_anywhere_is_a_miss(store: Store) -> None:
    store.write("subject", "a", b"some text\n")
    path = only_file(store)
    whole = path.read_bytes()
    for position in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert read(store) == [], position


def test_a_whole_file_in_another_place_is_a_miss(store: Store) -> None:
    """A right digest is not enough: it has to be that of this subject and this part."""
    store.write("subject", "a", b"mine")
    store.write("other", "a", b"theirs")
    mine = next(path for path in files(store) if b"mine" in path.read_bytes())
    theirs = next(path for path in files(store) if path != mine)
    shutil.copy(theirs, mine)
    assert read(store) == []
    shutil.copy(theirs, mine.with_name("0" * 32 + ".cells"))
    assert read(store) == []


@pytest.mark.parametrize("garbage", [b"", b"\0" * 200, b"lazyflow cache 1 ", b"{}", os.urandom(500)])
def test_garbage_is_a_miss(store: Store, garbage: bytes) -> None:
    store.write("subject", "a", b"text")
    only_file(store).write_bytes(garbage)
    assert read(store) == []


def test_what_is_no_file_is_a_miss(store: Store, tmp_path: Path) -> None:
    """A pipe would be waited at for ever, a link may lead anywhere."""
    store.write("subject", "a", b"text")
    path = only_file(store)
    content = path.read_bytes()
    path.unlink()
    path.mkdir()
    assert read(store) == []
    path.rmdir()
    os.mkfifo(path)
    assert read(store) == []
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(content)
    path.symlink_to(tmp_path / "elsewhere")
    assert read(store) == []


def test_another_form_is_a_miss(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("subject", "a", b"text")
    monkeypatch.setattr(module, "_MAGIC", b"lazyflow cache 2")
    assert read(store) == []


def test_everything_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(tmp_path / "deep" / "cache", MIB)
        store.write("subject", "a", b"text")
    finally:
        os.umask(before)
    path = only_file(store)
    modes = [stat.S_IMODE(found.stat().st_mode) for found in (store.directory, path.parent, path)]
    assert modes == [0o700, 0o700, 0o600]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_directory_that_others_may_write_to_is_not_used(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """What they put there would be shown as an answer."""
    store.write("subject", "a", b"text")
    store.directory.chmod(0o770)
    assert read(store) == read(store) == []
    store.write("subject", "b", b"more")
    assert len(files(store)) == 1
    assert len(messages(caplog)) == 1
    assert "others may write to it" in messages(caplog)[0]
    store.directory.chmod(0o755)
    assert read(store) == [b"text"], "that others may read it is its owner's choice"


def test_a_directory_of_somebody_else_is_not_used(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("subject", "a", b"text")
    monkeypatch.setattr(os, "geteuid", lambda: store.directory.stat().st_uid + 1)
    assert read(store) == []
    store.write("subject", "b", b"more")
    assert len(files(store)) == 1
    assert len(messages(caplog)) == 1
    assert "belongs to somebody else" in messages(caplog)[0]


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_disk_that_takes_nothing_is_a_warning_once(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    store.write("subject", "a", b"text")
    with monkeypatch.context() as full:
        full.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(reason, os.strerror(reason))))
        store.write("subject", "b", b"more")
        store.write("subject", "c", b"more")
        assert messages(caplog) == [
            f"the cache directory {store.directory} cannot be used: {os.strerror(reason)}; statistics are computed"
        ]
    assert read(store) == [b"text"]
    assert [path.name for path in store.directory.rglob("*.part")] == [], "nothing half written stays"
    store.write("subject", "b", b"more")
    assert read(store) == [b"more", b"text"], "there may be room again"


@pytest.mark.parametrize("where", ["cache", "cache/below", "/proc/nowhere"])
def test_a_directory_that_cannot_be_made_is_a_warning(
    where: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("mine")
    store = Store(tmp_path / where, MIB)
    store.write("subject", "a", b"text")
    store.write("subject", "b", b"text")
    assert read(store) == []
    assert len(messages(caplog)) == 1
    assert (tmp_path / "cache").read_text() == "mine"


def test_the_bound_is_kept_and_the_longest_unused_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", MIB)
    store.write("used", "a", b"u" * 1_000)
    (used,) = files(store)
    for number in range(200):
        store.write(str(number), "a", b"x" * 20_000)
        os.utime(only_written(store, str(number)), (1_000 + number, 1_000 + number))
        os.utime(used, (0, 0))
        assert read(store, "used"), "it was just used, whenever it was written"
        assert size(store.directory) <= MIB
    kept = [number for number in range(200) if read(store, str(number))]
    assert kept == list(range(200 - len(kept), 200))
    assert len(kept) > 25, "half of the bound is used at least"
    assert len(list(store.directory.iterdir())) <= len(kept) + 1, "empty folders go too"


def only_written(store: Store, subject: str) -> Path:
    (found,) = (store.directory / module._name(subject)).iterdir()
    return found


def test_what_is_too_large_is_not_kept(store: Store) -> None:
    store.write("subject", "a", b"x" * store.largest)
    store.write("subject", "b", b"x" * (store.largest + 1))
    assert [len(text) for text in read(store)] == [store.largest]
    assert store.largest < 32 * MIB // 32


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Whoever names their home directory loses nothing."""
    directory = tmp_path / "cache"
    store = Store(directory, MIB)
    store.write("subject", "a", b"x" * 20_000)
    theirs = [directory / "thesis.txt", directory / ("a" * 32), files(store)[0].with_name("notes.cells")]
    for path in theirs:
        path.write_bytes(b"t" * 2 * MIB)
    for number in range(100):
        store.write(str(number), "a", b"x" * 20_000)
    assert all(path.read_bytes() == b"t" * 2 * MIB for path in theirs)
    assert sum(path.stat().st_size for path in files(store) if path not in theirs) <= MIB


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", MIB)
    store.write("subject", "a", b"text")
    folder = files(store)[0].parent
    left, fresh = folder / ".abc_1.part", folder / ".abc_2.part"
    for path in (left, fresh):
        path.write_bytes(b"x" * 1_000)
    os.utime(left, (1, 1))
    for number in range(60):
        store.write(str(number), "a", b"x" * 20_000)
    assert not left.exists()
    assert fresh.exists(), "somebody may be writing it"


def text_of(subject: str, part: str) -> bytes:
    """What the hammering processes write: it can be told whether it is right."""
    return b"".join(hashlib.sha256(f"{subject} {part} {n}".encode()).digest() for n in range(200))


def hammer_store(directory: str, rounds: int, seed: int) -> dict[str, int]:
    """One of several processes that write and read; wrong texts, right ones, most bytes seen."""
    store, found = Store(Path(directory), MIB), {"wrong": 0, "right": 0, "most": 0}
    for number in range(rounds):
        subject, part = str((number * 7 + seed) % 23), str((number * 3 + seed) % 11)
        store.write(subject, part, text_of(subject, part))
        right = {text_of(subject, str(part)) for part in range(11)}
        for text in store.read(str((number * 5) % 23) if number % 2 else subject):
            other = {text_of(str((number * 5) % 23), str(part)) for part in range(11)} if number % 2 else right
            found["right" if text in other else "wrong"] += 1
        if number % 10 == 0:
            found["most"] = max(found["most"], size_now(Path(directory)))
    return found


def size_now(directory: Path) -> int:
    """The size of all files, some of which may go meanwhile."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    return total


@pytest.mark.parametrize("rounds", [150, pytest.param(1_000, marks=pytest.mark.long)])
def test_several_processes_keep_the_bound_and_read_what_was_written(tmp_path: Path, rounds: int) -> None:
    workers = [start(hammer_store, str(tmp_path / "cache"), rounds, seed) for seed in range(4)]
    found = [worker() for worker in workers]
    assert [one["wrong"] for one in found] == [0] * 4
    assert all(one["right"] > rounds for one in found), "they read what others wrote"
    assert MIB // 2 < max(one["most"] for one in found) <= MIB
