"""Sweeps: what a run costs beside its simulation, what a second worker gives, memory, and how fast stored runs are read.

Two sizes: an hour with 500 traders and 2 markets, and 600 blocks with 100 traders who all send an order in every block. The bars
are of a machine with two cores that does nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import Figure, show

HERE = Path(__file__).resolve().parent
RUNS_STORED = 100_000
RUNS_PER_PART = 50

VENUE = """
[venue]
preset = "dydx_v4"
[[venue.listings]]
symbol = "BTC"
tick = 1.0
lot = 0.0001
highest_price = 200000.0
"""
SECOND_MARKET = """
[[venue.listings]]
symbol = "ETH"
tick = 0.1
lot = 0.001
highest_price = 20000.0
"""
WORLD = """
[world]
kind = "Diffusion"
initial_price = {prices}
volatility = 0.6
correlation = 0.6
correlation_in_stress = 0.9
jump_scale = 0.001
"""

HOUR = f"""
title = "An hour"
[run]
seconds = 3600
{VENUE}{SECOND_MARKET}{WORLD.format(prices="[20000.0, 1500.0]")}
[[world.crashes]]
start = 1200
duration = 900
depth = 0.2
[population.takers]
kind = "Takers"
members = 430
capital = {{ kind = "Pareto", lowest = 1500.0, exponent = 1.0, highest = 1.5e5 }}
[population.arbitrageurs]
kind = "Arbitrageurs"
members = 20
capital = 1e5
[population.hedgers]
kind = "Hedgers"
members = 30
capital = 5e4
[population.providers]
kind = "LiquidityProviders"
members = 20
capital = 1.5e5
[sweep]
replications = 10
outcomes = ["bad_debt"]
[factors]
"venue.oracle.lag_blocks" = [0, 10]
"""

BUSY = f"""
title = "Everybody acts in every block"
[run]
seconds = 600
{VENUE}{WORLD.format(prices="20000.0")}
[population.busy]
kind = "full_blocks:BusyTraders"
members = 100
capital = 1e6
[sweep]
replications = 10
outcomes = ["volume"]
every_seconds = 600
tables = ["markets", "venue", "cohorts"]
"""


def main() -> None:
    if "--child" in sys.argv:
        child(*sys.argv[sys.argv.index("--child") + 1 :])
        return
    hours = int(next((a for a in sys.argv[1:] if a.isdigit()), 200))
    show(measure(hours))


def measure(hours: int) -> list[Figure]:
    """hours: runs of an hour that are measured; 1,000 take 1,000 / hours times as long, the start of the workers apart."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("hour", HOUR), ("busy", BUSY)):
            (Path(folder) / f"{name}.toml").write_text(text)
        shutil.copy(HERE / "full_blocks.py", folder)
        shutil.copy(HERE / "measuring.py", folder)
        swept(folder, "busy", 20, 1)  # compiles
        swept(folder, "hour", 2, 1)
        large = swept(folder, "busy", 1500, 1)
        two = swept(folder, "busy", 1500, 2)
        many = swept(folder, "busy", 4000, 1, "run.seconds=10")
        one_hour, two_hours = swept(folder, "hour", hours, 1), swept(folder, "hour", hours, 2)
        scan, columns = scanned(Path(folder))
    thousand = two_hours["start"] + (two_hours["seconds"] - two_hours["start"]) * 1000 / hours
    return [
        Figure("1,000 runs of an hour, 500 traders x 2 markets, 2 workers", thousand, "s", 180.0, False,
               f"from {hours} runs; start of the workers {two_hours['start']:.1f} s; {processor(two_hours, hours)}, their start included"),
        Figure("runs of 100 traders x 600 blocks, 2 workers", 1500 / (two["seconds"] - two["start"]), "runs/s", 150.0, True,
               f"one worker {1500 / large['seconds']:.0f} runs/s; {processor(large, 1500)}"),
        Figure("two workers against one, runs of an hour", one_hour["seconds"] / (two_hours["seconds"] - two_hours["start"]), "times",
               1.85, True, f"start of the workers apart; one worker: {processor(one_hour, hours)}"),
        Figure("memory for each further run", many["grown"], "kB", 5.0, False, f"{many['memory']:.0f} MB at most in 4,000 runs"),
        Figure(f"scan of {RUNS_STORED:,} stored runs", scan, "s", 2.0, False, f"all of {columns} columns, in parts of {RUNS_PER_PART}"),
    ]  # fmt: skip


def processor(measured: dict[str, float], runs: int) -> str:
    """Time of processors, which other programs of the machine do not take away."""
    return f"{1000 * measured['processor'] / runs:.1f} ms of a processor a run"


def swept(folder: str, name: str, runs: int, workers: int, *overrides: str) -> dict[str, float]:
    """What `child` tells of a sweep in a process of its own."""
    command = [sys.executable, __file__, "--child", folder, name, str(runs), str(workers), *overrides]
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    measured: dict[str, float] = json.loads(told.splitlines()[-1])
    return measured


def child(folder: str, name: str, runs: str, workers: str, *overrides: str) -> None:
    """Prints seconds, seconds until workers were there, processor seconds of all processes, memory (highest, MB) and how much of it
    each run after the first third has added (kB)."""
    import psutil

    from abm.lab.threads import ONE_THREAD

    os.environ.update(ONE_THREAD)
    from abm.lab.plan import load_plan
    from abm.lab.runner import Tally, run_sweep

    file = Path(folder) / f"{name}.toml"
    cells = 2 if name == "hour" else 1
    plan = load_plan(file, [f"sweep.replications={int(runs) // cells}", *overrides])
    out = Path(folder) / f"{name}-{runs}-{workers}"
    clock = time.perf_counter()
    before = time.process_time()
    ended: list[tuple[float, int]] = []
    held: list[tuple[int, float]] = []

    process = psutil.Process()

    def note(tally: Tally) -> None:
        ended.append((time.perf_counter() - clock, tally.ended))
        if tally.ended % RUNS_PER_PART == 0:
            held.append((tally.ended, process.memory_info().rss / 1024))

    result = run_sweep(plan, out, workers=int(workers), progress=note)
    seconds = time.perf_counter() - clock
    if result.tally.done != int(runs) // cells * cells:
        raise AssertionError(f"{result.tally}")
    timings = [json.loads(line) for line in (out / "timings.jsonl").read_text().splitlines()]
    first = next(moment for moment, runs_ended in ended if runs_ended > 0)
    start = max(first - next(line["seconds"] for line in timings if "part" in line), 0.0) if int(workers) > 1 else 0.0
    shutil.rmtree(out)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    later = [each for each in held if each[0] >= int(runs) / 3]
    grown = (later[-1][1] - later[0][1]) / max(later[-1][0] - later[0][0], 1) if later else 0.0
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(each.ru_utime + each.ru_stime for each in used) - before
    print(json.dumps({"seconds": seconds, "start": start, "memory": memory, "grown": grown, "processor": processor}))


def scanned(folder: Path) -> tuple[float, int]:
    """Seconds to read the whole table of runs of a large sweep, and its columns; the parts are one real one, renumbered."""
    import polars as pl

    import abm.lab
    from abm.lab.part_files import parquet, part_path
    from abm.lab.plan import load_plan
    from abm.lab.runner import run_sweep

    out = folder / "stored"
    run_sweep(load_plan(folder / "hour.toml", ["sweep.replications=1", "run.seconds=1300"]), out)
    real = abm.lab.open(out).runs.collect()
    part = real[[k % real.height for k in range(RUNS_PER_PART)]]
    for number in range(RUNS_STORED // RUNS_PER_PART):
        renumbered = part.with_columns(run=(pl.int_range(RUNS_PER_PART) + RUNS_PER_PART * number).cast(pl.Int32))
        part_path(out, "runs", number).write_bytes(parquet(renumbered, statistics=False))
    for path in (out / "tables" / "runs").glob("part-*.parquet"):
        path.read_bytes()  # into the file system's memory
    best = float("inf")
    for _ in range(3):
        clock = time.perf_counter()
        runs = abm.lab.open(out).runs.collect()
        best = min(best, time.perf_counter() - clock)
    if runs.height != RUNS_STORED:
        raise AssertionError(f"{runs.height} runs")
    return best, runs.width


if __name__ == "__main__":
    main()
