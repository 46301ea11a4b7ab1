"""Frictionless venues, given price paths and scripted traders: the settings in which a law has one right answer.

Everything here is ordinary configuration of the model. What a test needs beyond the built-in rules (a path that is given price by
price, a margin in dollars) is written as a user would write it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from abm.agents.base import Group, Recruits, Strategy, Trader, View
from abm.mechanisms.clearing import ContinuousBook
from abm.mechanisms.deleveraging import NoDeleveraging
from abm.mechanisms.enforcement import ProtocolEnforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.funding import NoFunding
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.listing import Listing
from abm.mechanisms.margin import FlatMargin, Margin
from abm.mechanisms.mark import OracleMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.ordering import PriorityFeeOrdering
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.parameters import parameter
from abm.recorder import Recording
from abm.state import MARGIN_TIER, Capacity, State, empty_table
from abm.worlds.diffusion import Diffusion
from abm.worlds.world import Setting, Stretch, World

EXACT = 1e-9  # tolerance of the laws that hold for every single number
SMALL = Capacity(orders=1 << 12, conditionals=1 << 8, transactions=1 << 12, records=1 << 14)
EVERY_BLOCK = Recording(every_seconds=1.0, book_every_seconds=1e6, positions_every_seconds=1e6)


@dataclass(frozen=True, kw_only=True)
class Path(World):
    """Outside prices given block by block; the last one stays."""

    prices: tuple[tuple[float, ...], ...] = parameter(unit="USD, one row per block and one column per market")

    def init(self, setting: Setting) -> None:
        assert all(len(row) == len(setting.symbols) for row in self.prices)

    def stretch(self, memory: None, first_block: int, blocks: int) -> Stretch:
        rows = np.minimum(np.arange(first_block, first_block + blocks), len(self.prices) - 1)
        prices = np.array(self.prices)[rows]
        return Stretch(prices, np.zeros_like(prices))


def path(*prices: float) -> Path:
    """A path of one market."""
    return Path(prices=tuple((float(price),) for price in prices))


@dataclass(frozen=True, kw_only=True)
class DollarMargin(Margin):
    """A margin in USD per position, whatever its size and price: the only one that a mirrored path leaves unchanged."""

    initial: float = parameter(100.0, unit="USD per position", least=0.0)
    maintenance: float = parameter(50.0, unit="USD per position", least=0.0)

    def init(self, state: State, seed: int) -> None:
        state.margin_tiers = empty_table((state.n_markets, 1), MARGIN_TIER)
        state.margin_tiers["initial_deduction"] = -self.initial
        state.margin_tiers["maintenance_deduction"] = -self.maintenance

    def update(self, state: State, memory: None) -> None:
        """A constant."""


@dataclass(frozen=True, kw_only=True)
class Idle(Strategy):
    """Never trades."""

    def decide(self, view: View, memory: None) -> None:
        """Nothing."""


class Script(Trader):
    """Does at each block what its script says: {block: (lambda trader: trader.buy("BTC", 1.0), ...)}."""

    def __init__(self, model: PerpModel, capital: float, script: Mapping[int, Callable[[Script], None]], **options: Any) -> None:
        super().__init__(model, capital, **options)
        self.script = script

    def step(self) -> None:
        act = self.script.get(self.model.block)
        if act is not None:
            act(self)

    @property
    def account(self) -> Any:
        """Its row of the accounts table."""
        return self.state.accounts[self.row]


def listing(symbol: str = "BTC", price: float = 1000.0, tick: float = 0.01, lot: float = 1e-6, highest: float = 2.0) -> Listing:
    """A market with a fine grid up to `highest` times `price`."""
    return Listing(symbol=symbol, tick=tick, lot=lot, highest_price=highest * price)


def plain_venue(*listings: Listing, **changes: Any) -> Venue:
    """No fees, no funding, no lag, no noise: mark = oracle = index, full liquidation in the block of the breach, orders by fee."""
    venue = Venue(
        listings=listings or (listing(),),
        ordering=PriorityFeeOrdering(),
        clearing=ContinuousBook(order_limits=(), trigger_band=0.0),
        oracle=MedianOracle(lag_blocks=0, sources=1, min_change=0.0),
        mark=OracleMark(),
        margin=FlatMargin(),
        funding=NoFunding(),
        fees=FlatFees(maker=0.0, taker=0.0),
        liquidation=FullLiquidation(penalty=0.0),
        enforcement=ProtocolEnforcement(lag_blocks=0, attempts_per_block=1_000_000),
        deleveraging=NoDeleveraging(),
    )
    return replace(venue, **changes)


def plain_diffusion(**changes: Any) -> Diffusion:
    """Independent diffusions of constant volatility without drift and jumps."""
    settings: dict[str, Any] = {
        "initial_price": 1000.0,
        "volatility": 0.5,
        "correlation": 0.0,
        "correlation_in_stress": 0.0,
        "volatility_half_life": (600.0,),
        "volatility_deviation": (0.0,),
        "jump_rate": 0.0,
        "jump_scale": 0.0,
    }
    return Diffusion(**{**settings, **changes})


def makers(strategy: Strategy, capital: float = 1e9, name: str = "makers") -> Group:
    """One provider of liquidity."""
    return Group(name=name, strategy=strategy, members=1, capital=capital)


def scripted(
    venue: Venue, world: World, traders: Sequence[tuple[float, Mapping[int, Callable[[Script], None]]]], blocks: int,
    population: Sequence[Group] = (), **options: Any,
) -> tuple[PerpModel, list[Script]]:  # fmt: skip
    """A model with one scripted trader per (capital, script), not yet run; conservation is checked in every block."""
    settings: dict[str, Any] = {"capacity": SMALL, "recording": EVERY_BLOCK, "check": True, **options}
    model = PerpModel(venue, world, list(population), blocks=blocks, spare_accounts=len(traders), **settings)
    return model, [Script(model, capital, script) for capital, script in traders]


def frames_equal(first: Mapping[str, pl.DataFrame], second: Mapping[str, pl.DataFrame], without: Sequence[str] = ()) -> list[str]:
    """Names of the tables in which two runs differ by a single bit; columns `without` are left out."""
    assert first.keys() == second.keys()
    different = []
    for name in first:
        left, right = (frames[name].drop(without, strict=False) for frames in (first, second))
        if left.schema != right.schema or not left.equals(right, null_equal=True):
            different.append(name)
    return different


@dataclass(frozen=True, kw_only=True)
class OnePerMarket(Strategy):
    """Member j opens one position in market j (modulo the number of markets) in the first block: independent fates."""

    leverage: float = parameter(10.0, unit="times equity", least=0.0)
    side: int = parameter(1, unit="side", least=-1, most=1)

    def init(self, recruits: Recruits) -> None:
        assert recruits.stride == 0

    def decide(self, view: View, memory: None) -> None:
        if view.block == 0:
            n_markets = view.state.n_markets
            market = np.arange(len(view.rows)) % n_markets
            for k in range(n_markets):
                view.orders.market(market == k, k, self.side, view.equity() * self.leverage / view.price(k, "index"))
