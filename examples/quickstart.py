"""A calm hour on a dYdX-v4-like venue, from Python."""

import abm

population = [
    abm.Group(name="takers", strategy=abm.Takers(), members=200, capital=abm.Pareto(lowest=1000.0, exponent=1.1, highest=1e5)),
    abm.Group(name="makers", strategy=abm.LiquidityProviders(), members=10, capital=200_000.0),
]
model = abm.PerpModel(abm.PRESETS["dydx_v4"](), abm.Diffusion(), population, blocks=3600, seed=1)
model.run()
markets = model.frames()["markets"]
print(markets.select("seconds", "market", "index", "mid", "open_interest").tail(3))
