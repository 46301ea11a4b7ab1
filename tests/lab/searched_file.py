"""A small venue with ranges, levels and variants, for searches: two minutes in which prices fall by a fifth."""

from __future__ import annotations

TEXT = """
title = "Small"
[run]
seconds = 120
seed = 3
[venue]
preset = "dydx_v4"
insurance_fund = 2000.0
[[venue.listings]]
symbol = "BTC"
tick = 1.0
lot = 0.0001
highest_price = 200000.0
[venue.oracle]
kind = "MedianOracle"
lag_blocks = 2
min_change = [0.0002]
[world]
kind = "Diffusion"
initial_price = [20000.0]
volatility = [0.5]
jump_scale = [0.001]
correlation = [1.0]
correlation_in_stress = [1.0]
[[world.crashes]]
start = 30
duration = 60
depth = 0.2
[population.takers]
kind = "Takers"
members = 25
leverage = 15.0
idle_seconds = 10.0
between_orders_seconds = 5.0
capital = 5000.0
[population.providers]
kind = "LiquidityProviders"
members = 3
capital = 200000.0
[sweep]
design = "latin_hypercube"
points = 8
replications = 2
outcomes = ["liquidated"]
baseline = "late"
every_seconds = 10
[factors]
"venue.oracle.lag_blocks" = { low = 0, high = 9 }
"venue.insurance_fund" = { low = 1e3, high = 1e5, scale = "log" }
"venue.oracle.kind" = { sets = ["venue.oracle.min_change"], values = [[0.0002], [0.01]], labels = ["often", "seldom"] }
[variants.early]
[variants.late.world.crashes.0]
start = 40
"""
