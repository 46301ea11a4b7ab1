"""A funding rule of your own in plain NumPy: half of the premium, paid every ten minutes."""

from dataclasses import dataclass, replace

import abm


@dataclass(frozen=True, kw_only=True)
class HalfPremium(abm.Funding):
    every: int = abm.parameter(600, unit="blocks", least=1)

    def settle(self, state, memory) -> None:
        if state.venue["block"][0] % self.every == 0:
            rate = abm.book_premiums(state) / 2
            abm.pay_funding(state, rate * state.markets["oracle"], rate, interval_seconds=self.every * state.seconds_per_block)


people = [abm.Group(name=s.__name__, strategy=s(), members=n) for s, n in ((abm.LiquidityProviders, 10), (abm.Takers, 100))]
model = abm.PerpModel(replace(abm.PRESETS["dydx_v4"](), funding=HalfPremium()), abm.Diffusion(), people, blocks=1300, seed=1)
print(model.run().frames()["funding"].select("seconds", "market", "rate", "paid"))
