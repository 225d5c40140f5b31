"""Random interleavings for as long as one likes: `python -m benchmarks.soak --steps 200000`."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from lazyflow.testing.interleavings import Violation, World, modelled

STEPS_OF_A_WORLD = 500


def explore_one(seed: int) -> tuple[int, Counter[str], str | None]:
    """One world: how often what happened, and the violation, if there was one."""
    logging.disable(logging.CRITICAL)
    world = World(seed, modelled)
    try:
        world.run(STEPS_OF_A_WORLD)
    except Violation as violation:
        return seed, world.counts, str(violation)
    return seed, world.counts, None


def main() -> int:
    """Take the steps on all cores; 0 if no invariant of the protocol was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first world; the others have those after it")
    arguments = parser.parse_args()
    worlds = -(-arguments.steps // STEPS_OF_A_WORLD)
    counts: Counter[str] = Counter()
    violations = []
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, (seed, seen, violation) in enumerate(
            pool.map(explore_one, range(arguments.seed, arguments.seed + worlds)), start=1
        ):
            counts += seen
            if violation is not None:
                violations.append(violation)
                print(f"VIOLATION in the world of seed {seed}: {violation}", flush=True)
            if done % 40 == 0 or done == worlds:
                seconds = time.monotonic() - began
                print(
                    f"{done * STEPS_OF_A_WORLD:>9,} steps, {seconds:,.0f} s, violations: {len(violations)}", flush=True
                )
    for what, number in counts.most_common():
        print(f"  {what:<28} {number:>9,}")
    frames = sum(counts[name] for name in counts if name[0].isupper())
    print(f"{worlds * STEPS_OF_A_WORLD:,} steps, {frames:,} frames checked, violations: {len(violations)}")
    return 1 if violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
