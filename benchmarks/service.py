"""The live service's speed, over real websockets.

`python -m benchmarks.service [--backend NAME]... [--rows N] [--seconds-load S] [--minutes-memory M] [--measure NAME]...
[--quick] [--json FILE] [--strict]`
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import time
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass

import click

import lazyflow as lf
from benchmarks.flights import ROWS_ONCE, flights_file
from benchmarks.measure import Figure, ms, percentile, report, told
from benchmarks.wire import Client, Lateness, Seen, Server, Words

CORES = os.cpu_count() or 1
KEYSTROKES = 8
BETWEEN_KEYS = 0.05
PAUSE = 0.05
EXPIRY = 2.0


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rows: int
    changes: int
    bursts: int
    views: int
    windows: int
    seconds_typing: float
    seconds_load: float
    minutes_memory: float
    sessions: int
    clients_each: int
    quick: bool

    def bound(self, budget: str, kept: bool, backend: str = "duckdb") -> tuple[str, bool | None]:
        """The budget and whether it is kept; a quick run holds nothing to it, nor is pandas where its engine is."""
        return ("", None) if backend == "pandas" else (budget, None if self.quick else kept)


def typed(words: Words, number: str) -> list[lf.State]:
    """Eight keystrokes at an airplane's number of six characters, one of them wrong and one to correct it."""
    texts = [number[:4] + "#" if at == 4 else number[: at + 1 - 2 * (at > 4)] for at in range(KEYSTROKES)]
    lap = words.state("").filters
    return [lf.State(search=text, filters=lap) for text in texts]


async def change_against_apply(server: Server, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """From sending a change to its first rows on the wire, against `flow.apply` alone in the server's process.

    Both take words that were never searched for, in turn: neighbours in the order of how often they occur, so that the
    engine looks equally long for either. Before each of them a change runs to its end, and a pause lets the engine give
    back what that took, so that both find the machine in the same state. The way there and back by itself, from asking
    for a window whose rows are known until they are there, is in the first figure, and said.
    """
    client = await server.join()
    await client.settle()
    candidates = words.of_length(3, 5_000)
    pairs = list(zip(candidates[::2], candidates[1::2], strict=False))
    wire, direct, way = [], [], []
    for pair in random.sample(pairs, min(size.changes, len(pairs))):
        one, other = random.sample(pair, 2)
        await client.change(words.any())
        await client.settle()
        await asyncio.sleep(PAUSE)
        wire.append(await client.change(words.state(one)))
        await client.settle()
        await asyncio.sleep(PAUSE)
        direct.append(await server.ask("apply", state=json.loads(words.state(other).to_json())))
        way.append(await client.rows(0))
    client.leave()
    more = percentile([late - alone for late, alone in zip(wire, direct, strict=True)], 0.5)
    yield Figure(
        "a change's first rows on the wire, later than flow.apply", backend, more * 1000, "ms",
        *size.bound("<= 5 ms", more <= 0.005),
        f"median of {len(wire)} pairs; wire {ms(percentile(wire, 0.5))}, apply {ms(percentile(direct, 0.5))}; "
        f"95th percentiles {ms(percentile(wire, 0.95))}, {ms(percentile(direct, 0.95))}; "
        f"the way there and back {ms(percentile(way, 0.5))}",
    )  # fmt: skip


async def keystrokes_against_one(server: Server, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """Eight keystrokes 50 ms apart against the last of them alone, in turn, each as a view that was never seen.

    Rows: from the last keystroke to its rows. CPU: of the server's process until the statistics are final.
    """
    client = await server.join()
    await client.settle()
    late: tuple[list[float], list[float]] = [], []
    used: tuple[list[float], list[float]] = [], []
    for number in random.sample(words.of_length(6, 60), size.bursts):
        for states in (typed(words, number), typed(words, number)[-1:]):
            which = int(len(states) == 1)
            before = (await server.ask("usage"))["cpu"]
            for state in states[:-1]:
                client.type(state)
                await asyncio.sleep(BETWEEN_KEYS)
            late[which].append(await client.change(states[-1]))
            await client.settle()
            used[which].append((await server.ask("usage"))["cpu"] - before)
    client.leave()
    eight, one = (percentile(values, 0.5) for values in late)
    yield Figure(
        "rows after eight keystrokes against one", backend, eight / one, "x",
        *size.bound("<= 1.5x", eight <= 1.5 * one),
        f"eight {ms(eight)}, one {ms(one)}, medians of {size.bursts}; longest {ms(max(late[0]))}, {ms(max(late[1]))}",
    )  # fmt: skip
    eight, one = (percentile(values, 0.5) for values in used)
    yield Figure(
        "the server's CPU for eight keystrokes against one", backend, eight / one, "x",
        *size.bound("<= 2x", eight <= 2 * one), f"eight {ms(eight)}, one {ms(one)}, until all is final",
    )  # fmt: skip


async def window_beside_statistics(server: Server, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """Windows anywhere in an unsorted view, one after the other, while its statistics run, against when they are known.

    Each view is looked at twice, from its first rows on. The second time all its statistics are known, and row numbers
    have to be prepared anew, since those of later views displaced them. The windows of the second time are those of the
    first moved by a row, so none is known and each lies as deep.
    """
    client = await server.join()
    views = [
        lf.State(filters=[lf.Filter("flight", ">", number % 50), *words.state("").filters])
        for number in range(size.views)
    ]
    asked: list[list[int]] = []
    busy: list[float] = []
    idle: list[float] = []
    for view in views:
        await client.change(view)
        windows: list[int] = []
        while not client.final and len(windows) < size.windows:
            at = random.randrange(size.rows * 9 // 10)
            took = await client.rows(at)
            if not client.final:
                windows.append(at)
                busy.append(took)
        asked.append(windows)
        await client.settle()
    for view, windows in zip(views, asked, strict=True):
        await client.change(view)
        await client.settle()
        idle += [await client.rows(at + 1) for at in windows]
    client.leave()
    beside, before = percentile(busy, 0.95), percentile(idle, 0.95)
    yield Figure(
        "a window on the wire while statistics run, 95th percentile", backend, beside / before, "x",
        *size.bound("<= 2x", beside <= 2 * before, backend),
        f"idle {ms(before)}, beside statistics {ms(beside)}, of {len(busy)}; "
        f"medians {ms(percentile(idle, 0.5))}, {ms(percentile(busy, 0.5))}",
    )  # fmt: skip


async def pauses_of_the_loop(server: Server, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """How late the server's event loop comes to a timer of a millisecond while four sessions type.

    Each types eight keystrokes 150 ms apart, then reads for a second. What the loop of the clients' process, which has
    next to nothing to do, sees at the same time is the machine's share.
    """
    numbers = words.of_length(6, 60)

    async def types(client: Client) -> None:
        while True:
            for state in typed(words, random.choice(numbers)):
                client.type(state)
                await asyncio.sleep(0.15)
            await asyncio.sleep(random.uniform(0.5, 1.5))

    clients = [await server.join() for _ in range(4)]
    for client in clients:
        await client.settle()
    await server.ask("watch")
    await asyncio.sleep(min(5, size.seconds_typing))
    idle = await server.ask("pauses")
    tasks = [asyncio.create_task(types(client)) for client in clients]
    await server.ask("watch")
    beside = Lateness()
    await asyncio.sleep(size.seconds_typing)
    busy, own = await server.ask("pauses"), beside.end()
    for task, client in zip(tasks, clients, strict=True):
        task.cancel()
        client.leave()
    yield Figure(
        "pauses of the event loop, four sessions typing, 99.9th percentile", backend, busy["p999"] * 1000, "ms",
        *size.bound("<= 20 ms", busy["p999"] <= 0.02, backend),
        f"idle {ms(idle['p999'])}, in the clients' process meanwhile {ms(own['p999'])}; 99th {ms(busy['p99'])}, "
        f"median {ms(busy['median'])}, longest {ms(busy['longest'])}, of {busy['ticks']:,}",
    )  # fmt: skip


async def many_clients(server: Server, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """Many clients, ten to a session, where one of each session makes a change a second, whether it is answered or not.

    Latency is taken at all clients, from sending a change to receiving its rows. A frame is stale if its generation is
    older than one that the client has seen, or its state was not asked for, or (looked at in a tenth of all) its rows
    are not those of the state.
    """
    sent: dict[lf.State, float] = {}
    taken: list[float] = []

    def when_rows(state: lf.State, at: float) -> None:
        if state in sent:
            taken.append(at - sent[state])

    seen = [Seen(words, when_rows) for _ in range(size.sessions)]
    typists = [await server.join(seen=each) for each in seen]
    joined = [
        await server.join(seen=each, session=typist.session)
        for each, typist in zip(seen, typists, strict=True)
        for _ in range(size.clients_each - 1)
    ]
    for client in [*typists, *joined]:
        await client.settle()

    async def types(client: Client) -> None:
        start = time.perf_counter() + random.random()
        for second in range(round(size.seconds_load)):
            await asyncio.sleep(start + second - time.perf_counter())
            state = words.any()
            sent[state] = time.perf_counter()
            client.type(state)
        await client.settle()

    start, own, before = time.perf_counter(), time.process_time(), (await server.ask("usage"))["cpu"]
    await asyncio.gather(*map(types, typists))
    elapsed, own = time.perf_counter() - start, time.process_time() - own
    theirs = (await server.ask("usage"))["cpu"] - before
    for client in [*typists, *joined]:
        client.leave()
    errors, stale = ([text for each in seen for text in getattr(each, name)] for name in ("errors", "stale"))
    expected = len(sent) * size.clients_each
    where = f"{size.sessions * size.clients_each} clients, {size.sessions} sessions"
    yield Figure(
        f"errors and stale frames, {where}", backend, len(errors) + len(stale), "", "0", not errors and not stale,
        f"of {sum(each.frames for each in seen):,} frames in {elapsed:.0f} s, {sum(each.checked for each in seen):,} "
        f"looked into" + "".join(f"; {text}" for text in (errors + stale)[:3]),
    )  # fmt: skip
    detail = (
        f"{len(taken):,} of {expected:,} views reached their clients; of {CORES} cores the server used "
        f"{theirs / elapsed:.2f}, the clients {own / elapsed:.2f}"
    )
    for name, share in (("50th", 0.5), ("99th", 0.99)):
        value = percentile(taken, share)
        yield Figure(f"rows, {where}, {name} percentile", backend, value * 1000, "ms", "", None, detail)


async def memory(server: Server, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """Resident memory of the server after ten minutes, against after one: the median of the half minute before each.

    Eight people each open or join a session, make five changes, some while statistics still run, scroll, and go; soon
    they are back, in the same session if it was kept. Sessions without clients expire after two seconds. It is done
    quickly enough to fill the cache of statistics to its bound within the first minute.
    """
    seen = Seen(words)
    names: list[str] = []
    changes = itertools.count()
    until = time.perf_counter() + size.minutes_memory * 60

    async def person() -> None:
        while time.perf_counter() < until:
            known = random.choice(names) if names and random.random() < 0.5 else None
            try:
                client = await server.join(seen=seen, session=known)
            except RuntimeError:
                seen.errors = [text for text in seen.errors if "4404" not in text and "no_such_session" not in text]
                with suppress(ValueError):
                    names.remove(known or "")  # it has expired
                continue
            names.append(client.session)
            for _ in range(5):
                await client.change(words.any())
                next(changes)
                await client.rows(random.randrange(1_000))
                if random.random() < 0.5:
                    await client.settle()
            client.leave()
            await asyncio.sleep(random.uniform(0, 0.3))

    people = [asyncio.create_task(person()) for _ in range(8)]
    resident = []
    while time.perf_counter() < until:
        await asyncio.sleep(min(1.0, size.minutes_memory))
        resident.append((await server.ask("usage"))["resident"] / 2**20)
    await asyncio.gather(*people)
    minute = round(len(resident) / max(size.minutes_memory, 2))
    first, last = (percentile(values[-max(1, minute // 2) :], 0.5) for values in (resident[:minute], resident))
    whole = size.minutes_memory >= 10
    after = f"{size.minutes_memory:g} minutes" + ("" if whole else " (SHORTENED from 10)")
    course = ", ".join(f"{value:,.0f}" for value in resident[minute - 1 :: minute])
    against = "one" if size.minutes_memory >= 2 else "half of it"
    yield Figure(
        f"memory after {after} against {against}", backend, last / first, "x",
        *size.bound("<= 1.1x", last <= 1.1 * first),
        f"{first:,.0f} MiB, then {last:,.0f} MiB; {next(changes):,} changes, {len(set(names)):,} sessions; each minute "
        f"{course}" + "".join(f"; {text}" for text in (seen.errors + seen.stale)[:3]),
    )  # fmt: skip


OF_ONE_READER = (change_against_apply, keystrokes_against_one, window_beside_statistics, pauses_of_the_loop)
MEASURES = [measure.__name__ for measure in (*OF_ONE_READER, many_clients, memory)]


async def figures(backends: list[str], size: Size, chosen: Collection[str]) -> AsyncIterator[Figure]:
    path, once = flights_file(round(size.rows / ROWS_ONCE)), flights_file(1)
    words = {file: Words(file) for file in (path, once)}
    of_servers = [(path, 300.0, OF_ONE_READER), (once, 300.0, (many_clients,)), (once, EXPIRY, (memory,))]
    if size.quick:
        of_servers = [(once, EXPIRY, (*OF_ONE_READER, many_clients, memory))]
    for backend in backends:
        for file, expiry, of_server in of_servers:
            measures = [measure for measure in of_server if not chosen or measure.__name__ in chosen]
            if not measures:
                continue
            async with Server(backend, file, session_expiry=expiry) as server:
                for measure in measures:
                    async for figure in measure(server, words[file], size, backend):
                        yield figure


@click.command(help=__doc__)
@click.option("--backend", "backends", multiple=True, default=("duckdb", "xorq", "pandas"), show_default=True)
@click.option("--rows", default=15 * ROWS_ONCE, show_default=True, help="Rows, in whole copies of the 336,776 flights.")
@click.option("--seconds-load", default=60.0, show_default=True, help="How long 200 clients are served.")
@click.option("--minutes-memory", default=10.0, show_default=True, help="After how long memory is looked at.")
@click.option("--measure", "chosen", multiple=True, type=click.Choice(MEASURES), help="Only this; repeatable.")
@click.option("--quick", is_flag=True, help="Little of everything, to see that it works; no bound but 0 errors.")
@click.option("--json", "target", type=click.Path(dir_okay=False), help="Write the figures to this file as JSON too.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a budget is not kept.")
def main(
    backends: tuple[str, ...], rows: int, seconds_load: float, minutes_memory: float, chosen: tuple[str, ...],
    quick: bool, target: str | None, strict: bool,
) -> None:  # fmt: skip
    copies = max(1, round(rows / ROWS_ONCE))
    size = Size(copies * ROWS_ONCE, 40, 15, 15, 40, 30, seconds_load, minutes_memory, 20, 10, quick)
    if quick:
        size = Size(ROWS_ONCE, 3, 1, 1, 5, 1, 2, 0.05, 3, 4, quick)
    found = told(figures(list(backends), size, chosen))
    report(f"{size.rows:,} rows x 19 columns, over websockets, {CORES} cores", found, target, strict)


if __name__ == "__main__":
    main()
