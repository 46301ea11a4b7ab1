"""A pool with a late oracle beside a live book, and what those earn who trade on both."""

from dataclasses import replace

import abm

live = abm.PRESETS["binance_like"]()
late = replace(abm.PRESETS["gmx_v2"](), oracle=abm.MedianOracle(lag_blocks=30, min_change=0.0), fees=abm.FlatFees(maker=0.0, taker=0.0001))
pool = [abm.Group(name="providers", strategy=abm.PoolProviders(), members=10, capital=200_000.0)]
book = [
    abm.Group(name="makers", strategy=abm.LiquidityProviders(), members=10, capital=200_000.0),
    abm.Group(name="takers", strategy=abm.Takers(idle_seconds=300.0), members=200, capital=5_000.0),
]
across = [abm.Group(name="across", strategy=abm.CrossVenueArbitrageurs(), members=5, capital=100_000.0)]
pair = abm.VenuePair((late, live), abm.Diffusion(volatility=1.5), (pool, book), across, blocks=1800, seed=1)
frames = pair.run().frames()
gap = frames["markets"]["mid"] / frames["beside_markets"]["mid"] - 1.0
profit = sum(cohort.equity for model in pair.models for cohort in model.cohorts if cohort.name == "across") - 1_000_000.0
print(f"mean gap {gap.abs().mean():.4%}, profit across both venues {profit:,.0f} USD")
