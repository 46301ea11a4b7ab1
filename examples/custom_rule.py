"""A funding rule of your own in plain NumPy: half of the premium, paid every ten minutes."""

from dataclasses import dataclass, replace

import abm


@dataclass(frozen=True, kw_only=True)
class HalfPremium(abm.Funding):
    interval_blocks: int = abm.parameter(600, unit="blocks", least=1)

    def settle(self, state, memory) -> None:
        if state.venue["block"][0] % self.interval_blocks == 0:
            rate = 0.5 * abm.book_premiums(state)
            abm.pay_funding(state, rate * state.markets["oracle"], rate, interval_seconds=600.0)


venue = replace(abm.PRESETS["dydx_v4"](), funding=HalfPremium())
groups = {"makers": (abm.LiquidityProviders(), 10), "takers": (abm.Takers(), 100)}
population = [abm.Group(name=name, strategy=strategy, members=members) for name, (strategy, members) in groups.items()]
model = abm.PerpModel(venue, abm.Diffusion(), population, blocks=1300, seed=1)
print(model.run().frames()["funding"].select("seconds", "market", "rate", "paid"))
