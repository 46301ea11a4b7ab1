"""What a block costs when nobody does anything: the rules' own work, and the calls from Python into compiled code.

Seven cohorts, one of each archetype, with one member each who sleeps; three markets, dYdX v4 rules with keepers, recording on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from measuring import Figure, best_seconds, show

from abm.agents.base import Group
from abm.lab.config import load
from abm.model import PerpModel

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "flash_crash.toml"
BLOCKS = 5_000
LONG = 1e12  # seconds


def asleep(group: Group) -> Group:
    """One member of the group, who may look at the market once, in the first block, and then no more."""
    strategy = group.strategy
    waits = {
        name: LONG
        for name in ("look_seconds", "idle_seconds", "scan_seconds", "enter_seconds", "refresh_seconds")
        if hasattr(strategy, name)
    }
    if hasattr(strategy, "requote_move"):
        waits["requote_move"] = 1.0
    return replace(group, members=1, capital=0.0, strategy=replace(strategy, **waits))


def sleeping_model(blocks: int) -> PerpModel:
    experiment = load(EXPERIMENT, ["world.crashes=[]"])
    run = replace(experiment.run, seconds=blocks * experiment.venue.seconds_per_block)
    return replace(experiment, groups=tuple(asleep(group) for group in experiment.groups), run=run).model()


def measure(blocks: int = BLOCKS, repeats: int = 20) -> list[Figure]:
    model = sleeping_model(blocks * (repeats + 1))
    model.run(blocks)
    executed = model.state.venue["transactions_executed"][0]
    seconds = best_seconds(lambda: model.run(blocks), repeats)
    if model.state.venue["transactions_executed"][0] != executed:
        raise AssertionError("somebody woke")
    note = f"{len(model.cohorts)} cohorts, {model.state.n_markets} markets"
    return [Figure("block in which nobody acts", seconds / blocks * 1e6, "us", 25.0, note=note)]


if __name__ == "__main__":
    show(measure())
