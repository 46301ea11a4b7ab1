"""How long a sweep will take and how much it will store, measured on one real run rather than guessed."""

from __future__ import annotations

import time
from dataclasses import dataclass

from abm.lab.gathering import facts_of, tables_of
from abm.lab.part_files import parquet
from abm.lab.plan import Plan, account_blocks

SECONDS = 4.0  # the pilot may take: a longer run is stopped and scaled up
WARM_UP = 3  # blocks, in which everything is compiled or loaded
CHUNK = 50  # blocks between two looks at the clock
RUN_COLUMNS_BYTES = 500  # of one row of the table of runs, compressed


@dataclass(frozen=True)
class Pilot:
    """What one run costs, and all of them."""

    cell: int
    blocks: int
    """Measured."""
    of_blocks: int
    """Of the whole run."""
    seconds: float
    """The whole run takes, on one processor."""
    stored_bytes: float
    """The whole run leaves behind."""
    times: float
    """Work of all runs of the plan in such runs: those of other configurations may be larger or smaller."""

    def total_seconds(self, workers: int) -> float:
        """All runs take, on so many processors."""
        return self.seconds * self.times / workers

    @property
    def total_bytes(self) -> float:
        """All runs leave behind."""
        return self.stored_bytes * self.times


def measure(plan: Plan, seconds: float = SECONDS) -> Pilot:
    """Runs the first configuration with the first seed, or as many of its blocks as fit into `seconds` (CHUNK at least), and scales up.

    Raises what the run raises.
    """
    cell = plan.cells[0]
    experiment = plan.experiment(0)
    tables = plan.tables
    experiment.model().run(min(WARM_UP, experiment.blocks)).release()
    clock = time.perf_counter()
    model = experiment.model()
    built = time.perf_counter() - clock
    blocks = 0
    while blocks == 0 or (blocks < experiment.blocks and time.perf_counter() - clock < seconds):
        model.run(min(CHUNK, experiment.blocks - blocks))
        blocks = model.block + 1
    ran = time.perf_counter() - clock - built
    made = tables_of(facts_of(0, model, tables), tables, plan.symbols, plan.cohorts, plan.cohorts_beside)
    model.release()
    scale = experiment.blocks / blocks
    stored = sum(len(parquet(table, True)) - len(parquet(table.clear(), True)) for table in made.values())
    sizes = [account_blocks(each.experiment) for each in plan.cells]
    return Pilot(
        cell=cell.number,
        blocks=blocks,
        of_blocks=experiment.blocks,
        seconds=built + ran * scale,
        stored_bytes=stored * scale + RUN_COLUMNS_BYTES,
        times=sum(sizes) / sizes[0] * len(plan.seeds),
    )
