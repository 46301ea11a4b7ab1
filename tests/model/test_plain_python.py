"""The whole model runs with its kernels as plain Python, for debuggers and coverage, and computes the same to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import abm
from dataclasses import replace
world = abm.Diffusion(crashes=(abm.Crash(start=10.0, duration=20.0, depth=0.2),))
members = dict(scalpers=abm.Scalpers(), hedgers=abm.Hedgers(), makers=abm.LiquidityProviders(), arbitrageurs=abm.Arbitrageurs(),
               keepers=abm.Keepers(), ranges=abm.RangeProviders(), takers=abm.Takers(idle_seconds=20.0), whales=abm.Whales())
population = [abm.Group(name=name, strategy=strategy, members=4, capital=20_000.0) for name, strategy in members.items()]
model = abm.PerpModel(abm.PRESETS["dydx_v4"](), world, population, blocks=40, seed=1, check=True)
frames = model.run().frames()
for name in ("fills", "cohorts", "markets"):
    print(name, frames[name].height, *[repr(frames[name][c].sum()) for c in frames[name].columns if frames[name][c].dtype.is_float()])
"""

RANGES = RUN.replace("dydx_v4", "perp_v2")
AUCTIONED = RUN.replace(
    'abm.PRESETS["dydx_v4"]()',
    """replace(
    abm.PRESETS["drift_v2"](),
    clearing=abm.AuctionedBook(filler_cohort="keepers", repeg_seconds=3.0, scale_seconds=7.0, jit_intensity=0.7),
    guards=(abm.ChainHalt(from_seconds=12.0, to_seconds=16.0, stale_blocks=1), abm.PausedFunctions(from_seconds=20.0, to_seconds=25.0)),
    events=(abm.Delisting(at_seconds=30.0, symbol="ETH"),),
)""",
)
VOTED = RUN.replace(
    'abm.PRESETS["dydx_v4"]()',
    """replace(
    abm.PRESETS["dydx_v4"](),
    clearing=abm.BatchAuction(interval_blocks=1.5, interval="poisson"),
    guards=(abm.ChainHalt(from_seconds=12.0, to_seconds=16.0, stale_blocks=1), abm.PausedFunctions(from_seconds=20.0, to_seconds=25.0)),
    events=(
        abm.Delisting(at_seconds=30.0, symbol="ETH"),
        abm.RuleChange(at_seconds=8.0, margin=abm.FlatMargin()),
        abm.Drain(at_seconds=9.0),
    ),
)""",
)
MANIPULATED = RUN.replace("dydx_v4", "hyperliquid").replace(
    "keepers=abm.Keepers(), ranges=abm.RangeProviders(),",
    """vault=abm.ResidentVaults(),
               pumpers=abm.OraclePumpers(push_seconds=5.0, exit_seconds=25.0, sell_seconds=30.0),
               washers=abm.Washers(start_seconds=3.0, stop_seconds=35.0), spoofers=abm.Spoofers(start_seconds=5.0, stop_seconds=30.0),
               runners=abm.VaultRunners(withdraw_seconds=8.0, until_seconds=30.0), pyramiders=abm.Pyramiders(every_seconds=2.0),""",
)
HEDGED = (
    RUN.replace("dydx_v4", "gmx_v2")
    .replace("ranges=abm.RangeProviders(),", "depositors=abm.PoolProviders(),")
    .replace(
        "members=4, capital=20_000.0)",
        """members=4, capital=20_000.0, hedge={
    "depositors": abm.OptionHedge(form="straddle", expiry_seconds=15.0, look_seconds=2.0),
    "whales": abm.OptionHedge(expiry_seconds=15.0, look_seconds=2.0),
    "takers": abm.SpotHedge(look_seconds=2.0),
}.get(name, abm.NoHedge()))""",
    )
)
RUNS = {
    "dydx_v4": RUN,
    "batches, votes and a halt": VOTED,
    "perp_v2": RANGES,
    "drift_v2": AUCTIONED,
    "manipulators on hyperliquid": MANIPULATED,
    "hedges on gmx_v2": HEDGED,
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_it_computes_the_same(run: str):
    results = []
    for setting in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": setting, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
        environment.pop("NUMBA_BOUNDSCHECK", None)
        done = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
        results.append(done.stdout)
    assert results[0] == results[1]
    assert int(results[0].split()[1]) > 0  # there were trades
