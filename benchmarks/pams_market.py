"""PAMS (Python, PyPI) beside full_blocks.py. Runs in the environment that `make bench-peers` creates.

1,000 of its fundamentalist-chartist-noise agents in one market; every agent sends one limit order in every step, orders are matched
continuously. Agents have cash and holdings; there is no margin, no fee, no funding.
"""

from __future__ import annotations

import contextlib
import io
import random  # noqa: TID251 - the other simulator asks for one
import warnings

from measuring import Figure, clock, show
from pams.runners import SequentialRunner


def settings(agents: int, steps: int) -> dict:
    return {
        "simulation": {
            "markets": ["Market"],
            "agents": ["Agents"],
            "sessions": [
                {
                    "sessionName": 0,
                    "iterationSteps": steps,
                    "withOrderPlacement": True,
                    "withOrderExecution": True,
                    "withPrint": False,
                    "maxNormalOrders": agents,
                }
            ],
        },
        "Market": {"class": "Market", "tickSize": 0.01, "marketPrice": 300.0},
        "Agents": {
            "class": "FCNAgent",
            "numAgents": agents,
            "markets": ["Market"],
            "assetVolume": 50,
            "cashAmount": 10_000,
            "fundamentalWeight": {"expon": [1.0]},
            "chartWeight": {"expon": [0.0]},
            "noiseWeight": {"expon": [1.0]},
            "noiseScale": 0.001,
            "timeWindowSize": [100, 200],
            "orderMargin": [0.0, 0.1],
        },
    }


def agent_steps(agents: int, steps: int) -> float:
    """Agent-steps per second, with what it takes to set the market up."""
    runner = SequentialRunner(settings=settings(agents, steps), prng=random.Random(1), logger=None)
    start = clock()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # it rounds prices to ticks, and says so
        runner.main()
    return agents * steps / (clock() - start)


def measure(agents: int = 1_000, steps: int = 5, repeats: int = 3) -> list[Figure]:
    best = max(agent_steps(agents, steps) for _ in range(repeats))
    note = f"no margin or fees; over the first {steps} steps, slower as its book grows"
    return [Figure(f"PAMS, {agents:,} agents x 1 market", best / 1e6, "million agent-steps/s", note=note)]


if __name__ == "__main__":
    show(measure())
