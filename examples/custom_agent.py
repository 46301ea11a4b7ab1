"""A trader of your own in plain Python: buys a dip of one per cent, once."""

import abm


class DipBuyer(abm.Trader):
    def step(self) -> None:
        self.highest = max(getattr(self, "highest", 0.0), self.price("BTC"))
        if self.position("BTC") == 0.0 and self.price("BTC") < 0.99 * self.highest:
            self.buy("BTC", 0.5)


makers = abm.Group(name="makers", strategy=abm.LiquidityProviders(), members=10, capital=200_000.0)
crash = abm.Crash(start=600.0, duration=600.0, depth=0.05)
model = abm.PerpModel(abm.PRESETS["dydx_v4"](), abm.Diffusion(crashes=(crash,)), [makers], blocks=1800, seed=1, spare_accounts=1)
buyer = DipBuyer(model, capital=20_000.0)
model.run()
print(f"holds {buyer.position('BTC')} BTC, equity {buyer.equity:,.0f} USD")
