"""bourse (Rust, PyPI) beside bare_book.py and full_blocks.py. Runs in the environment that `make bench-peers` creates.

1. The operations of bare_book.py through `OrderBook`, one Python call each.
2. The same in batches of 1,000 through `StepEnvNumpy.submit_instructions` and `step`, which shuffles each batch. There is no market
   order in a batch, so those that take at once leave their rest in the book; a cancellation of an order of the same batch is left out.
3. 1,000 of its own random agents (in NumPy), each sending one limit order in every step, in one market.
No book of bourse knows accounts, margin or fees; it keeps every order and trade.
"""

from __future__ import annotations

import bourse
import numpy as np
from bare_book import CANCEL_ONE, MARKET, planned_operations
from measuring import Figure, clock, show

BATCH = 1_000


def one_by_one(operations) -> float:
    """Seconds for all operations, each a call of its own."""
    book = bourse.core.OrderBook(0, 1)
    columns = [operations[name].tolist() for name in ("kind", "side", "lots", "account", "tick", "target")]
    ids = [0] * len(operations)
    place, cancel = book.place_order, book.cancel_order
    start = clock()
    for o, (kind, side, lots, account, tick, target) in enumerate(zip(*columns, strict=True)):
        if kind == CANCEL_ONE:
            cancel(ids[target])
        elif kind == MARKET:
            ids[o] = place(side > 0, lots, account)
        else:
            ids[o] = place(side > 0, lots, account, price=tick)
    return clock() - start


def in_batches(operations) -> float:
    """Seconds for all operations in batches of arrays."""
    environment = bourse.core.StepEnvNumpy(1, 0, 1, BATCH)
    ids = np.zeros(len(operations), np.uint64)
    numbers = np.arange(len(operations))
    cancels = operations["kind"] == CANCEL_ONE
    same_batch = cancels & (operations["target"] // BATCH == numbers // BATCH)
    kinds = np.where(same_batch, 0, np.where(cancels, 2, 1)).astype(np.uint32)
    bids = operations["side"] > 0
    lots, traders, ticks = (operations[name].astype(np.uint32) for name in ("lots", "account", "tick"))
    start = clock()
    for first in range(0, len(operations), BATCH):
        part = slice(first, first + BATCH)
        instructions = (kinds[part], bids[part], lots[part], traders[part], ticks[part], ids[operations["target"][part]])
        ids[part] = environment.submit_instructions(instructions)
        environment.step()
    return clock() - start


def agent_steps(agents: int, steps: int) -> float:
    """Agent-steps per second of bourse's own random agents."""
    environment = bourse.core.StepEnvNumpy(1, 0, 1, 1_000)
    crowd = [bourse.step_sim.agents.NumpyRandomAgents(agents, (9_900, 10_100), (1, 100), 1)]
    start = clock()
    bourse.step_sim.run(environment, crowd, steps, 1, show_progress=False, use_numpy=True)
    return agents * steps / (clock() - start)


def measure(n: int = 1_000_000, agents: int = 1_000, steps: int = 500, repeats: int = 3) -> list[Figure]:
    operations, _, _ = planned_operations(n)
    calls = min(one_by_one(operations) for _ in range(repeats))
    batches = min(in_batches(operations) for _ in range(repeats))
    crowd = max(agent_steps(agents, steps) for _ in range(repeats))
    return [
        Figure("bourse, one call per operation", calls / n * 1e9, "ns per operation"),
        Figure(f"bourse, batches of {BATCH:,}", batches / n * 1e9, "ns per operation"),
        Figure(f"bourse, {agents:,} random agents x 1 market", crowd / 1e6, "million agent-steps/s", note="no margin, fees or positions"),
    ]


if __name__ == "__main__":
    show(measure())
