"""Small sweeps for the tests: a few traders for a minute, and a strategy that does what no strategy should."""

from __future__ import annotations

from pathlib import Path

BASE = """
title = "tiny"
question = "Does it matter?"

[run]
seconds = 60

[venue]
preset = "dydx_v4"
insurance_fund = 1000.0

[[venue.listings]]
symbol = "BTC"
tick = 1.0
lot = 0.0001
highest_price = 200000.0

[world]
kind = "Diffusion"
initial_price = 20000.0
volatility = 0.5
correlation = 0.6
correlation_in_stress = 0.9
jump_scale = 0.001

[population.takers]
kind = "Takers"
members = 8
capital = 10000.0
between_orders_seconds = 5.0

[population.providers]
kind = "LiquidityProviders"
members = 2
capital = 100000.0
"""

SWEEP = """
[sweep]
replications = 3
outcomes = ["bad_debt"]
every_seconds = 10

[factors]
"venue.oracle.lag_blocks" = [0, 5]
"""

LAG = "venue.oracle.lag_blocks"

TRAP = """
from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from abm.agents.base import Recruits, Strategy, View
from abm.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Trap(Strategy):
    \"\"\"Does its deed in one block of the runs with one seed.\"\"\"

    deed: str = parameter(unit="name")
    seed: int = parameter(unit="")
    block: int = parameter(5, unit="blocks")

    def init(self, recruits: Recruits) -> int:
        return recruits.seed

    def decide(self, view: View, memory: int) -> None:
        if view.block == self.block and memory == self.seed:
            deed = getattr(self, self.deed)
            deed()

    def nothing(self) -> None:
        pass

    def fail(self) -> None:
        raise ArithmeticError(f"seed {self.seed} is a bad one: {object()}")

    def die(self) -> None:
        os._exit(3)

    def wait_once(self) -> None:
        \"\"\"Says which process it is, and waits to be killed; the next time it goes on.\"\"\"
        marker = Path(os.environ["TRAP_MARKER"])
        if not marker.exists():
            marker.write_text(str(os.getpid()))
            time.sleep(600)
"""


def with_trap(deed: str, seed: int) -> str:
    """A sweep in which one trader of every run is a trap; its class lies in `TRAP`."""
    return f'{BASE}\n[population.trap]\nkind = "traps:Trap"\nmembers = 1\ndeed = "{deed}"\nseed = {seed}\n{SWEEP}'


def written(folder: Path, text: str = BASE + SWEEP, name: str = "tiny.toml") -> Path:
    """The file, with the class of a trap beside it if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    if "traps:" in text:
        (folder / "traps.py").write_text(TRAP)
    file = folder / name
    file.write_text(text)
    return file


def results(folder: Path) -> dict[str, bytes]:
    """Every file that must not depend on who computed it."""
    told = ("provenance.json", "timings.jsonl")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in told
    }
