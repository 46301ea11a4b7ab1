"""One experiment, run: from settings to a folder with tables, summary, figures and report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from abm.lab.config import Experiment, resolved
from abm.lab.output_folder import new_folder
from abm.lab.provenance import provenance
from abm.lab.store import REPORT, StoredRun, foreign_files, open_run, write_run
from abm.lab.summary import Summary, summarise
from abm.lab.wording import duration

UPDATES = 200  # of the progress bar


@dataclass(frozen=True)
class RunResult:
    """A finished run: where it is and what happened."""

    folder: Path
    summary: Summary
    seconds: float  # wall-clock time of the simulation
    blocks: int

    @property
    def report(self) -> Path | None:
        """The report; None when none was asked for."""
        path = self.folder / REPORT
        return path if path.exists() else None

    def stored(self) -> StoredRun:
        """The run as it lies in its folder."""
        return open_run(self.folder)

    def render(self) -> Iterator[str]:
        """What happened, in lines for a terminal."""
        import shutil

        from abm.lab.summary_table import NARROWEST, WIDTH, summary_lines

        width = max(min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH), NARROWEST)
        stored = self.stored()
        yield from summary_lines(self.summary, stored.origin, width)
        if stored.pair is not None:
            yield from ("", "THE VENUE BESIDE", "")
            yield from summary_lines(stored.pair.beside, stored.origin, width)
            yield ""
            yield from (f"{what}: {how_much}" for what, how_much in stored.pair.words())
        yield ""
        yield f"{self.blocks:,} blocks in {duration(self.seconds)}"
        yield f"report: {self.report}" if self.report else f"tables: {self.folder}"


def run_experiment(
    experiment: Experiment,
    folder: str | Path,
    *,
    overwrite: bool = False,
    check: bool = False,
    report: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Runs `experiment` and writes everything about it to `folder`, completely or not at all.

    overwrite: replace `folder` if it holds an earlier run and nothing else. check: verify after every block that no money appears
    or disappears. report: draw the figures and write the report too. progress: is told how many blocks are done, and of how many.

    Raises InputError when `folder` exists or cannot be written, and ParameterError where rules, world and population do not fit
    together. Whatever ends the run, KeyboardInterrupt included, `folder` is left as it was.
    """
    if check and not experiment.run.check:
        experiment = dataclasses.replace(experiment, run=dataclasses.replace(experiment.run, check=True))
    with new_folder(folder, overwrite=overwrite, foreign=foreign_files) as partial:
        blocks = experiment.blocks
        model = experiment.model()
        started, clock = datetime.now(UTC), time.perf_counter()
        if progress is not None:
            progress(0, blocks)
        model.run(progress=None if progress is None else lambda done: progress(done, blocks), every=max(1, blocks // UPDATES))
        seconds = time.perf_counter() - clock
        frames = model.frames()
        summary = summarise(frames)
        write_run(partial, frames, summary, resolved(experiment), provenance(experiment, started, seconds))
        if report:
            from abm.lab.report import write_report

            write_report(partial)
    return RunResult(Path(folder), summary, seconds, blocks)
