"""What providing liquidity returns, split: closed forms of impermanent loss and of loss versus rebalancing, and parts that add up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest

from abm.agents.base import Group
from abm.agents.sheet import OrderSheet
from abm.lab.outcomes import compute
from abm.lab.outcomes.liquidity_provision import returns
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.profit import PARTS
from abm.mechanisms.clearing import Clearing, ContinuousBook
from abm.mechanisms.concentrated_amm import ConcentratedAmm
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.mark import Mark, MidMark, OracleMark
from abm.mechanisms.oracle import MedianOracle
from abm.mechanisms.oracle_pool import OraclePool
from abm.mechanisms.venue import Venue
from abm.mechanisms.virtual_amm import VirtualAmm
from abm.model import PerpModel
from abm.recorder import Recording
from abm.state import JOIN_POOL, LEAVE_POOL
from tests.model.small_worlds import EVERY_BLOCK, SMALL, Idle, Path, plain_venue

PEOPLE = ("providers", "takers")
ME = np.array([True])
START = 1000.0
FREE = {"most_ticks": 0, "oracle_gap": 1e9, "tick_spacing": 10, "fund_share": 0.0}
NO_IMPACT = {"positive_impact": 0.0, "negative_impact": 0.0, "base_fee": 0.0, "above_fee": 0.0, "reserve_factor": 100.0}
Act = Callable[[dict[str, OrderSheet]], None]


def venue_of(clearing: Clearing, mark: Mark, fees: FlatFees | None = None, **changes: object) -> Venue:
    return plain_venue(clearing=clearing, mark=mark, fees=fees or FlatFees(maker=0.0, taker=0.0), **changes)


def played(
    venue: Venue, prices: Sequence[float], acts: dict[int, Act], recording: Recording = EVERY_BLOCK, capital: float = 1e6
) -> dict[str, pl.DataFrame]:
    """The record of a run in which, before each block, somebody may send something; conservation is checked."""
    groups = [Group(name=name, strategy=Idle(), members=1, capital=capital) for name in PEOPLE]
    world = Path(prices=tuple((price,) for price in prices))
    model = PerpModel(venue, world, groups, blocks=len(prices), recording=recording, capacity=SMALL, check=True)
    sheets = {cohort.name: OrderSheet(model.state, cohort.rows, 0, np.zeros(1, np.int64)) for cohort in model.cohorts}
    for block in range(len(prices)):
        if block in acts:
            acts[block](sheets)
        model.step()
    return {name: frame.with_columns(run=pl.lit(0)) for name, frame in model.frames().items()}


def outcomes(frames: dict[str, pl.DataFrame]) -> dict[str, float]:
    (row,) = compute(frames, pl.Series([0]), "*").iter_rows(named=True)
    return row


def money(frames: dict[str, pl.DataFrame], cohort: str) -> dict[str, float]:
    """What a cohort has gained in the end, and the parts of it, in USD."""
    rows = ManyRuns(frames, pl.Series([0])).make(returns)
    return rows.filter(pl.col("cohort") == cohort).row(-1, named=True)


def buy(size: float, limit: float = 1999.0) -> Act:
    """The taker buys (> 0) or sells, whatever it costs up to a limit."""
    return lambda sheets: sheets["takers"].limit(ME, 0, 1 if size > 0.0 else -1, abs(size), limit, immediate_or_cancel=True)


def sell(size: float) -> Act:
    return buy(-size, 1.0)


def send(kind: int, amount: float) -> Act:
    """The provider joins a pool with `amount` USD, or leaves it with that many shares."""

    def act(sheets: dict[str, OrderSheet]) -> None:
        sheet = sheets["providers"]
        sheet._append(sheet._members(ME), kind, 0, 0, 0, 0, 0, 2**62, amount, -1, 0.0)

    return act


def provide(low: float, high: float, amount: float) -> Act:
    return lambda sheets: sheets["providers"].add_range(ME, 0, low, high, amount)


def remove(sheets: dict[str, OrderSheet]) -> None:
    sheets["providers"].remove_ranges(ME, 0)


def last(frames: dict[str, pl.DataFrame], column: str) -> float:
    value = frames["markets"][column][-1]
    assert isinstance(value, float)
    return value


def in_range(root: float, low: float, high: float) -> float:
    """USD that a range of liquidity 1 is worth, price inside it: 2 s - a - s^2 / b (Uniswap v3 whitepaper, section 6)."""
    return 2.0 * root - math.sqrt(low) - root**2 / math.sqrt(high)


@pytest.mark.parametrize("rise", [1.1, 1.44, 0.81, 0.64])
def test_a_constant_product_curve_loses_the_impermanent_loss(rise: float) -> None:
    """2 sqrt(r) / (1 + r) - 1 of what holding would be worth, r the price ratio (Pintail, 2019)."""
    reserve = 1e6
    coins = reserve / START * (1.0 - 1.0 / math.sqrt(rise))
    frames = played(venue_of(VirtualAmm(quote_reserve=reserve), MidMark()), [START] * 4, {1: buy(coins) if rise > 1.0 else sell(-coins)})
    assert last(frames, "mid") / START == pytest.approx(rise, rel=1e-5)
    held = reserve * (1.0 + rise)
    assert money(frames, "amm")["impermanent"] == pytest.approx(held * (2.0 * math.sqrt(rise) / (1.0 + rise) - 1.0), rel=1e-3)


@pytest.mark.parametrize("size", [30.0, -45.0, 60.0])
def test_a_range_loses_its_impermanent_loss_until_it_is_removed(size: float) -> None:
    """L and the loss from the formulas of the Uniswap v3 whitepaper; a later move of the price is the position's."""
    capital, amount, low, high = 1e6, 500_000.0, 600.0, 1600.0
    venue = venue_of(ConcentratedAmm(**FREE, initial_liquidity=1e5), MidMark())
    trade = buy(size) if size > 0.0 else sell(-size)
    whole = played(venue, [START] * 4, {0: provide(low, high, amount), 2: trade})
    spacing = 1.0001 ** FREE["tick_spacing"]
    low, high = spacing ** math.floor(math.log(low, spacing)), spacing ** math.ceil(math.log(high, spacing))
    root = math.sqrt(START)
    liquidity = amount / in_range(root, low, high)
    after = math.sqrt(last(whole, "mid"))
    coins, dollars = liquidity * (1.0 / root - 1.0 / math.sqrt(high)), liquidity * (root - math.sqrt(low))
    loss = liquidity * in_range(after, low, high) - (coins * after**2 + dollars)
    found = outcomes(whole)
    assert loss < -500.0
    assert found["return_impermanent.providers"] == pytest.approx(loss / capital, rel=2e-3)
    assert found["return.providers"] == pytest.approx(found["return_impermanent.providers"], rel=2e-3)
    back = sell(size) if size > 0.0 else buy(-size)
    removed = played(venue, [START] * 7, {0: provide(low, high, amount), 2: trade, 4: remove, 5: back})
    kept = outcomes(removed)
    assert kept["return_impermanent.providers"] == pytest.approx(loss / capital, rel=2e-3)
    position = liquidity * (1.0 / after - 1.0 / root)
    gained = position * (last(removed, "mid") - after**2)
    assert gained > 1000.0
    assert kept["return_positions.providers"] == pytest.approx(gained / capital, rel=2e-3)


def up_and_down(step: float, blocks: int) -> list[float]:
    """A path whose every logarithmic step is `step` up or down, so that its variance per block is exactly the step squared."""
    signs = np.where(np.random.default_rng(5).random(blocks) < 0.5, 1.0, -1.0)
    return [float(price) for price in START * np.exp(np.concatenate([[0.0, 0.0], np.cumsum(step * signs)]))]


def arbitrage(prices: Sequence[float]) -> dict[int, Act]:
    """The taker trades in every block until the venue's price is the price outside."""
    acts = {}
    for block, (before, there) in enumerate(itertools.pairwise(prices), 1):
        if there != before:
            acts[block] = buy(1e5 if there > before else -1e5, there)
    return acts


def test_a_curve_loses_an_eighth_of_the_variance_to_arbitrage() -> None:
    """Milionis et al. (2022): sigma^2 / 8 of its value per unit of time for a constant product, without fees."""
    step, reserve = 0.005, 1e6
    prices = up_and_down(step, 200)
    frames = played(venue_of(VirtualAmm(quote_reserve=reserve), MidMark()), prices, arbitrage(prices), capital=1e7)
    assert (frames["markets"]["mid"] / frames["markets"]["index"] - 1.0).abs().max() < 1e-4
    found = money(frames, "amm")
    worth = 2.0 * reserve * np.sqrt(np.array(prices[1:-1]) / START)
    assert found["rebalancing"] - found["price"] == pytest.approx((step**2 / 8.0 * worth).sum(), rel=0.03)


def test_a_range_loses_a_quarter_of_the_variance_times_liquidity_and_root() -> None:
    """Milionis et al. (2022): sigma^2 P^2 |x'(P)| / 2 per unit of time, for a range that holds L (1 / sqrt P - 1 / sqrt b) coins."""
    step, amount, low, high = 0.005, 900_000.0, 500.0, 1900.0
    prices = up_and_down(step, 200)
    acts = {**arbitrage(prices), 1: provide(low, high, amount)}
    frames = played(venue_of(ConcentratedAmm(**FREE, initial_liquidity=1e3), MidMark()), prices, acts, capital=1e7)
    assert (frames["markets"]["mid"] / frames["markets"]["index"] - 1.0).abs().max() < 1e-4
    liquidity = amount / in_range(math.sqrt(START), low, high)
    lost = (0.25 * step**2 * liquidity * np.sqrt(prices[1:-1])).sum()
    assert outcomes(frames)["return_versus_rebalancing.providers"] == pytest.approx(-lost / 1e7, rel=0.03)


def test_a_late_oracles_pool_loses_to_rebalancing_by_its_shares() -> None:
    """A trader buys ten coins at a price one per cent too low; half of the pool is the depositor's."""
    venue = venue_of(
        OraclePool(initial_liquidity=400_000.0, **NO_IMPACT), OracleMark(), oracle=MedianOracle(lag_blocks=1, sources=1, min_change=0.0)
    )
    prices = [START] * 4 + [1010.0] * 3 + [1030.0] * 3
    frames = played(venue, prices, {1: send(JOIN_POOL, 400_000.0), 4: buy(10.0)})
    found = outcomes(frames)
    assert found["return_versus_rebalancing.providers"] == pytest.approx(-0.5 * 10.0 * 10.0 / 1e6)
    assert found["return_rebalancing.providers"] == pytest.approx(-0.5 * 10.0 * 20.0 / 1e6)
    assert found["return.providers"] == pytest.approx(-0.5 * 10.0 * 30.0 / 1e6)
    assert found["return_impermanent.providers"] == pytest.approx(found["return.providers"])
    assert found["return_versus_rebalancing.takers"] == pytest.approx(10.0 * 10.0 / 1e6)


def test_a_depositors_return_is_on_all_it_has_paid_in() -> None:
    """Nine tenths of the money is in the pool at the first look, and comes out again after a loss and fees."""
    venue = venue_of(OraclePool(initial_liquidity=100_000.0, **NO_IMPACT), OracleMark(), FlatFees(maker=-0.001, taker=0.002))
    prices = [START] * 3 + [1050.0] * 5
    joins = {0: send(JOIN_POOL, 900_000.0), 1: buy(20.0), 4: sell(20.0)}
    stays = outcomes(played(venue, prices, joins))
    leaves = outcomes(played(venue, prices, {**joins, 6: send(LEAVE_POOL, 1e9)}))
    fees = 0.9 * 0.001 * 20.0 * (START + 1050.0)
    lost = 0.9 * 20.0 * 50.0
    for found in (stays, leaves):
        assert found["return_fees.providers"] == pytest.approx(fees / 1e6)
        assert found["return_price.providers"] == pytest.approx(-lost / 1e6)
        assert found["return_impermanent.providers"] == pytest.approx(-lost / 1e6)
        assert found["return.providers"] == pytest.approx((fees - lost) / 1e6)
        assert found["return_outside.providers"] == 0.0
        assert found["return.pool"] == pytest.approx((fees - lost) / 9.0 / 1e5)
        assert found["return_fees.pool"] == pytest.approx(fees / 9.0 / 1e5)
        assert found["drawdown.providers"] == pytest.approx((lost - 0.9 * 0.001 * 20.0 * START) / 1e6, rel=0.05)


@pytest.mark.parametrize(
    "clearing",
    [ContinuousBook(order_limits=(), trigger_band=0.0), ConcentratedAmm(**FREE), OraclePool(**NO_IMPACT), VirtualAmm()],
    ids=repr,
)
def test_parts_add_up_to_the_return(clearing: Clearing) -> None:
    venue = venue_of(clearing, OracleMark(), FlatFees(maker=-0.0002, taker=0.0005))

    def offer(sheets: dict[str, OrderSheet]) -> None:
        send(JOIN_POOL, 500_000.0)(sheets)
        provide(800.0, 1300.0, 500_000.0)(sheets)
        for side in (1, -1):
            sheets["providers"].limit(ME, 0, side, 30.0, START * (1.0 - side * 0.001), post_only=True)

    frames = played(venue, [START] * 3 + [1020.0] * 3 + [990.0] * 4, {0: offer, 2: buy(20.0), 5: sell(12.0)})
    found = outcomes(frames)
    cohorts = [name for name in frames["cohorts"]["cohort"].unique().to_list() if found[f"return.{name}"] is not None]
    assert {"providers", "takers"} <= set(cohorts)
    for name in cohorts:
        parts = sum(found[f"return_{part}.{name}"] for part in PARTS)
        assert parts == pytest.approx(found[f"return.{name}"], abs=1e-15)
        for halves in (("rebalancing", "versus_rebalancing"), ("impermanent", "positions")):
            assert sum(found[f"return_{half}.{name}"] for half in halves) == pytest.approx(found[f"return_price.{name}"], abs=1e-15)
    assert found["return_price.takers"] != 0.0
    total = sum(money(frames, str(name))["total"] for name in frames["cohorts"]["cohort"].unique())
    assert total + frames["venue"]["fees"][-1] + frames["venue"]["insurance_fund"][-1] == pytest.approx(
        frames["venue"]["insurance_fund"][0], abs=1e-6
    )


def test_what_fills_lost_to_rebalancing_is_what_the_return_says() -> None:
    """Of makers on a book both definitions are the same sum: of fills in one, of what is left of the return in the other."""

    def offer(sheets: dict[str, OrderSheet]) -> None:
        sheets["providers"].limit(ME, 0, -1, 30.0, 1001.0, post_only=True)

    venue = venue_of(ContinuousBook(order_limits=(), trigger_band=0.0), MidMark())
    frames = played(venue, [START] * 3 + [1008.0] * 4, {1: offer, 3: buy(20.0)})
    found = outcomes(frames)
    assert found["loss_versus_rebalancing.providers"] == pytest.approx(7.0 / 1001.0)
    assert found["return_versus_rebalancing.providers"] == pytest.approx(-20.0 * 7.0 / 1e6)


def test_versus_rebalancing_is_not_told_where_blocks_are_not_seen() -> None:
    seldom = Recording(every_seconds=2.0, book_every_seconds=1e6, positions_every_seconds=1e6)
    found = outcomes(played(venue_of(VirtualAmm(), MidMark()), [START] * 6, {1: buy(1.0)}, seldom))
    assert found["return_versus_rebalancing.takers"] is None
    assert found["return_impermanent.takers"] == 0.0
