# ruff: noqa: T201 - a command prints
"""Runs many seeds, one seed with its trace, the mutants, or the explorer's stories (see ``scripts/simulate --help``)."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from multiprocessing import Pool

from tests.simulation.calm import simulate_calm
from tests.simulation.clock_changes import simulate_clock_changes
from tests.simulation.crash_loops import simulate_crash_loop
from tests.simulation.damage import simulate_damage
from tests.simulation.explorer.explore import explore
from tests.simulation.explorer.oracle import EXEMPTIONS
from tests.simulation.heartbeats import simulate_heartbeats
from tests.simulation.mutants import MUTANTS
from tests.simulation.pressure import simulate_pressure
from tests.simulation.scenario import RunResult, simulate
from tests.simulation.silences import simulate_silences

SEEDS, STORIES = 200, 2_000
WORLDS = {
    "calm": simulate_calm,
    "crash_loops": simulate_crash_loop,
    "damage": simulate_damage,
    "pressure": simulate_pressure,
    "heartbeats": simulate_heartbeats,
    "silences": simulate_silences,
    "clock_changes": simulate_clock_changes,
}
REPLAY = "scripts/simulate --seed {seed} --trace"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, help=f"how many seeds to run (default: {SEEDS}, of stories {STORIES})")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes share them (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--trace", action="store_true", help="with --seed: print everything that happened")
    parser.add_argument("--calm", action="store_true", help="run worlds without faults, in which what is foretold has to happen")
    parser.add_argument("--crash-loops", action="store_true", help="run worlds in which no worker lives for long")
    parser.add_argument("--damage", action="store_true", help="run worlds in which single rows are damaged")
    parser.add_argument("--pressure", action="store_true", help="run worlds in which others are in the way for a while")
    parser.add_argument(
        "--heartbeats", action="store_true", help="run worlds in which jobs ping; with --explore: stories of jobs"
    )
    parser.add_argument("--clock-changes", action="store_true", help="run worlds of jobs in which the clocks of zones change")
    parser.add_argument(
        "--silences", action="store_true", help="run worlds in which people silence incidents; with --explore: such stories"
    )
    parser.add_argument("--mutants", action="store_true", help="show the seed that catches each mutant")
    parser.add_argument("--explore", action="store_true", help="play stories, and look for phones that stayed silent")
    options = parser.parse_args(arguments)
    if options.explore:
        return _explore(options)
    run = next((each for name, each in WORLDS.items() if getattr(options, name)), simulate)
    if options.seed is not None:
        return _one(run(options.seed), with_trace=options.trace)
    seeds = range(options.first, options.first + (options.seeds or SEEDS))
    with Pool(options.jobs) as pool:
        if options.mutants:
            return _mutants(pool.imap(partial(_catch, seeds=seeds), range(len(MUTANTS))))
        return _many(pool.imap(run, seeds, chunksize=4), len(seeds))


def explain(result: RunResult, *, lines: int | None = None) -> str:
    """Return a run's trace, its verdict and the command that replays it."""
    shown = result.trace if lines is None else result.trace[max(0, len(result.trace) - lines) :]
    verdict = f"violates {result.violation}" if result.violation else "is clean"
    head = f"Seed {result.seed} {verdict} (trace {result.trace_hash}; replay: {REPLAY.format(seed=result.seed)})"
    return "\n".join([*shown, head])


def _one(result: RunResult, *, with_trace: bool) -> int:
    print(explain(result, lines=None if with_trace else 0))
    return 1 if result.violation else 0


def _many(results: Iterable[RunResult], count: int) -> int:
    began, failed, sends, faults = time.monotonic(), 0, 0, Counter[str]()
    for number, result in enumerate(results, start=1):
        sends += result.sends
        faults.update(result.faults)
        if result.violation:
            failed += 1
            print(explain(result, lines=30), flush=True)
        if sys.stderr.isatty():
            print(f"\r{number}/{count} seeds, {failed} failed", end="", file=sys.stderr, flush=True)
    took_s = time.monotonic() - began
    print(f"\n{count} seeds in {took_s:.0f} s ({count / took_s:.1f} a second): {failed} failed; {sends} sends")
    print("Faults: " + ", ".join(f"{name} {times}" for name, times in sorted(faults.items())))
    return 1 if failed else 0


def _explore(options: argparse.Namespace) -> int:
    play = partial(explore, is_of_job=options.heartbeats, is_silenced=options.silences)
    if options.seed is not None:
        found = play(options.seed)
        print(found)
        return 1 if found.verdict.faults else 0
    began, failed, demands, simulated_s, exempt = time.monotonic(), 0, 0, 0.0, Counter(dict.fromkeys(EXEMPTIONS, 0))
    seeds = range(options.first, options.first + (options.seeds or STORIES))
    with Pool(options.jobs) as pool:
        for number, found in enumerate(pool.imap(play, seeds, chunksize=4), start=1):
            demands += found.verdict.demands
            simulated_s += found.seen.until_s
            exempt.update(found.exempt)
            if found.verdict.faults:
                failed += 1
                print(found, flush=True)
            if sys.stderr.isatty():
                print(f"\r{number}/{len(seeds)} stories, {failed} failed", end="", file=sys.stderr, flush=True)
    took_s = time.monotonic() - began
    print(
        f"{len(seeds)} stories of {simulated_s / 3600:.0f} simulated hours in {took_s:.0f} s: {failed} failed; {demands} demands"
    )
    for name, times in exempt.items():
        print(f"Exempt {times} times: {name} ({EXEMPTIONS[name].reason})")
    return 1 if failed else 0


def _mutants(results: Iterable[RunResult | None]) -> int:
    survivors = 0
    for mutant, caught in zip(MUTANTS, results, strict=True):
        survivors += caught is None
        no_longer = f", and no longer {mutant.known}" if caught and caught.seed != mutant.known else ""
        print(f"{mutant.name}: {f'seed {caught.seed}{no_longer}: {caught.violation}' if caught else 'not caught'}", flush=True)
    return 1 if survivors else 0


def _catch(number: int, seeds: Sequence[int]) -> RunResult | None:
    return MUTANTS[number].catch(seeds)


if __name__ == "__main__":
    sys.exit(main())
