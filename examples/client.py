#!/usr/bin/env python
"""Rows first, statistics after, and what typing quickly costs.

Usage: client.py ADDRESS, where ADDRESS is what `lazyflow serve --demo` prints.
"""

import asyncio
import sys

import lazyflow as lf
from lazyflow.client import connect
from lazyflow.protocol import RowCountFrame, StateFrame


async def main(address: str) -> None:
    async with connect(address, window=(0, 3), columns=["carrier", "origin", "dest", "dep_delay"]) as client:
        print("rows:", client.view.rows.num_rows, "- statistics:", "known" if client.view.complete else "pending")
        async for event in client:  # the first one brought the rows; where all was known, it brought everything
            if isinstance(event, RowCountFrame) and "filtered" in event.row_count:
                print(f"number of rows: {event.row_count['filtered']:,}")
            if client.view.complete:
                break
        delay = client.view.statistics["filtered"]["dep_delay"]
        print(f"statistics: mean delay {delay['mean'].value:.1f} minutes")

        before = client.view.generation
        for typed in ("J", "JF", "JFK"):
            last = await client.change(lf.State(search=typed))  # asks, and does not wait for the answer
            await asyncio.sleep(0.005)
        async for event in client:
            if isinstance(event, StateFrame):
                for cost in event.superseded:
                    came = "never came" if cost.rows_milliseconds is None else f"came after {cost.rows_milliseconds} ms"
                    print(
                        f"generation {cost.generation} was superseded after {cost.milliseconds} ms: rows {came}, "
                        f"{cost.queries_started} statistics queries started, {cost.queries_cancelled} cancelled"
                    )
                if event.request == last:
                    break
        view = await client.settled()
        accepted = view.generation - before
        print(f"3 changes: {accepted} accepted, {3 - accepted} passed over before they cost anything")
        print(f"{view.state.search}: {view.row_count['filtered']:,} rows, frames out of order: {client.stale_frames}")


asyncio.run(main(sys.argv[1]))
