"""A large venue: 100,000 accounts in 8 markets, the traders of experiments/flash_crash.toml with a hundred times its crowd.

Takers, scalpers and hedgers are multiplied; providers, arbitrageurs, keepers and whales stay as they are, as a market's professionals do.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import replace
from pathlib import Path

from measuring import Figure, best_seconds, show

from abm.lab.config import load
from abm.mechanisms.listing import Listing
from abm.model import PerpModel
from abm.worlds.diffusion import Diffusion

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "flash_crash.toml"
MARKETS = 8
CROWD = ("takers", "scalpers", "hedgers")


def large_model(accounts: int, blocks: int) -> PerpModel:
    experiment = load(EXPERIMENT, ["world.crashes=[]", "spot.depth=2e7"])
    total = sum(group.members for group in experiment.groups)
    crowd = sum(group.members for group in experiment.groups if group.name in CROWD)
    factor = (accounts - (total - crowd)) / crowd
    groups = [replace(group, members=max(1, int(group.members * factor))) if group.name in CROWD else group for group in experiment.groups]
    largest = max(range(len(groups)), key=lambda g: groups[g].members)
    missing = accounts - sum(group.members for group in groups)
    groups[largest] = replace(groups[largest], members=groups[largest].members + missing)
    listings = tuple(Listing(symbol=f"M{k}", tick=1.0, lot=0.0001, highest_price=100_000.0) for k in range(MARKETS))
    return PerpModel(
        replace(experiment.venue, listings=listings, oracle=replace(experiment.venue.oracle, min_change=0.001)),
        Diffusion(initial_price=20_000.0, volatility=0.5, correlation=0.6, correlation_in_stress=0.9, jump_scale=0.001),
        groups,
        blocks=blocks,
        seed=experiment.run.seed,
        spot=experiment.spot,
        gas=experiment.gas,
        recording=experiment.record,
    )


def measure(accounts: int = 100_000, blocks: int = 600, repeats: int = 5) -> list[Figure]:
    model = large_model(accounts, blocks * (repeats + 1))
    model.run(blocks)
    before = model.state.venue["transactions_executed"][0]
    seconds = best_seconds(lambda: model.run(blocks), repeats)
    executed = (model.state.venue["transactions_executed"][0] - before) / (blocks * repeats)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 * (1 if sys.platform != "darwin" else 1 / 1024)
    size = f"{model.state.n_accounts:,} accounts x {MARKETS} markets"
    return [
        Figure(f"block with {size}", seconds / blocks * 1e3, "ms", 2.0, note=f"{executed:.0f} transactions a block"),
        Figure(f"peak memory with {size}", memory, "GiB", 1.0, note="the whole process, Python and libraries included"),
    ]


if __name__ == "__main__":
    show(measure())
