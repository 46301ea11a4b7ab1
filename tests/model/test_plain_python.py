"""The whole model runs with its kernels as plain Python, for debuggers and coverage, and computes the same to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
import abm
from dataclasses import replace
world = abm.Diffusion(crashes=(abm.Crash(start=10.0, duration=20.0, depth=0.2),))
members = dict(scalpers=abm.Scalpers(), hedgers=abm.Hedgers(), makers=abm.LiquidityProviders(), arbitrageurs=abm.Arbitrageurs(),
               keepers=abm.Keepers(), ranges=abm.RangeProviders(), takers=abm.Takers(idle_seconds=20.0), whales=abm.Whales())
population = [abm.Group(name=name, strategy=strategy, members=4, capital=20_000.0) for name, strategy in members.items()]
model = abm.PerpModel(abm.PRESETS[sys.argv[1]](), world, population, blocks=int(sys.argv[2]), seed=1, check=True)
frames = model.run().frames()
for name in ("fills", "cohorts", "markets"):
    print(name, frames[name].height, *[repr(frames[name][c].sum()) for c in frames[name].columns if frames[name][c].dtype.is_float()])
"""


@pytest.mark.parametrize(("preset", "blocks"), [("dydx_v4", 40), ("perp_v2", 25)])
def test_it_computes_the_same(preset, blocks):
    results = []
    for setting in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": setting, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
        environment.pop("NUMBA_BOUNDSCHECK", None)
        command = [sys.executable, "-c", RUN, preset, str(blocks)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
        results.append(done.stdout)
    assert results[0] == results[1]
    assert int(results[0].split()[1]) > 0  # there were trades
