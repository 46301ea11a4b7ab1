"""One simulated day of experiments/flash_crash.toml: 86,400 blocks of a second, 1,005 traders, 3 markets, a crash, recording on."""

from __future__ import annotations

import sys
from pathlib import Path

from measuring import Figure, clock, show

from abm.lab.config import load

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "flash_crash.toml"
DAY = 86_400.0


def measure(seconds: float = DAY, repeats: int = 3) -> list[Figure]:
    experiment = load(EXPERIMENT, [f"run.seconds={seconds}"])
    experiment.model().run(10)  # loads the compiled code
    best = best_frames = float("inf")
    for _ in range(repeats):
        model = experiment.model()
        start = clock()
        model.run()
        ran = clock()
        model.frames()
        best, best_frames = min(best, ran - start), min(best_frames, clock() - ran)
    scale = DAY / seconds
    executed = model.state.venue["transactions_executed"][0] / model.blocks
    note = f"{model.state.n_accounts:,} traders, {executed:.0f} transactions a block; {best / model.blocks * 1e6:.0f} us a block"
    return [
        Figure("one simulated day", best * scale, "s", 6.0, note=note),
        Figure("its record as data frames", best_frames, "s"),
    ]


if __name__ == "__main__":
    show(measure(float(next((a for a in sys.argv[1:] if not a.startswith("-")), DAY))))
