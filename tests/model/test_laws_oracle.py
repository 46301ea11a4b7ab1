"""Laws of the oracle: what one wrong source does, and what a late price is worth to those who see the right one.

Sources: dYdX v4 `protocol/x/prices`, Slinky `voteweighted` (median); the incident of June 2019 in which one of two live sources was
wrong by a thousand (mean); E[(|sigma sqrt(tau) Z| - h)+] for the edge over a price that is tau blocks old.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pytest

from abm.agents.base import Group, Strategy, View
from abm.agents.passive import FixedSlippage
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.oracle import Fault, MeanOracle, MedianOracle
from abm.model import PerpModel
from abm.parameters import parameter
from abm.recorder import Recording
from tests.model.small_worlds import listing, makers, path, plain_diffusion, plain_venue, scripted

BLOCK_YEARS = 1.0 / (365.0 * 86_400.0)
WRONG = 1000.0


def published(rule: MedianOracle | MeanOracle) -> tuple[float, float]:
    """The oracle price of a constant index of 4096 before and during a fault."""
    model, _ = scripted(plain_venue(listing(price=4096.0, tick=0.1, highest=1.5), oracle=rule), path(4096.0), [(1.0, {})], 6)
    model.run(2)
    before = float(model.state.markets["oracle"][0])
    model.run()
    return before, float(model.state.markets["oracle"][0])


def with_fault(rule: type[MedianOracle | MeanOracle], sources: int, source: int, factor: float) -> MedianOracle | MeanOracle:
    fault = Fault(source=source, from_seconds=3.0, factor=factor)
    return rule(lag_blocks=0, sources=sources, min_change=0.0, faults=(fault,))


@pytest.mark.parametrize("sources", [1, 2, 3, 5, 9, 32])
@pytest.mark.parametrize("wrong", ["first", "last"])
def test_one_wrong_source_moves_the_mean_by_its_share(sources: int, wrong: str) -> None:
    """One of k sources wrong by a factor f multiplies the mean by 1 + (f - 1) / k, exactly."""
    before, after = published(with_fault(MeanOracle, sources, 0 if wrong == "first" else sources - 1, WRONG))
    assert before == 4096.0
    assert after == (4096.0 * (sources - 1) + WRONG * 4096.0) / sources
    assert after / before == pytest.approx(1.0 + (WRONG - 1.0) / sources, rel=1e-15)


@pytest.mark.parametrize("sources", [3, 4, 5, 9, 32])
@pytest.mark.parametrize("factor", [WRONG, 1.0 / WRONG])
def test_one_wrong_source_of_three_or_more_does_not_move_the_median(sources: int, factor: float) -> None:
    for source in (0, sources // 2, sources - 1):
        before, after = published(with_fault(MedianOracle, sources, source, factor))
        assert (before, after) == (4096.0, 4096.0)


def test_one_wrong_source_of_one_or_two_can_move_the_median() -> None:
    """The lower median of two follows the lower one: a source that is too low wins, one that is too high does not."""
    assert published(with_fault(MedianOracle, 1, 0, WRONG))[1] == 4096.0 * WRONG
    assert published(with_fault(MedianOracle, 2, 0, 1.0 / 1024.0))[1] == 4.0
    assert published(with_fault(MedianOracle, 2, 0, WRONG))[1] == 4096.0


@dataclass(frozen=True, kw_only=True)
class StaleQuoteTaker(Strategy):
    """Takes one order of `notional` USD in every market and block in which the index is beyond the oracle by more than the fee."""

    notional: float = parameter(100.0, unit="USD per order", least=0.0)
    fee: float = parameter(0.0, unit="fraction of notional", least=0.0)

    def decide(self, view: View, memory: None) -> None:
        everybody = np.ones(len(view.rows), dtype=bool)
        for k in range(view.state.n_markets):
            index, oracle = view.price(k, "index"), view.price(k, "oracle")
            side = 1 if index > oracle else -1
            if abs(index / oracle - 1.0) > self.fee:
                view.orders.market(everybody, k, side, self.notional / oracle)


@pytest.mark.slow
@pytest.mark.parametrize(("lag", "fee_in_deviations"), [(1, 0.0), (4, 0.0), (4, 0.5), (9, 1.0)])
def test_edge_over_a_stale_oracle(lag: int, fee_in_deviations: float) -> None:
    """Mean edge per block of taking quotes at an oracle price that is tau blocks old, fee h: E[(|sigma sqrt(tau) Z| - h)+], to 5 %.

    At h = 0 that is 0.798 sigma sqrt(tau).
    """
    per_block = 0.001
    deviation = per_block * math.sqrt(lag)
    fee = fee_in_deviations * deviation
    markets, blocks = 24, 700 * lag
    listings = [replace(listing(f"M{k}", tick=0.01, lot=1e-6, highest=2.5)) for k in range(markets)]
    venue = plain_venue(*listings, oracle=MedianOracle(lag_blocks=lag, sources=1, min_change=0.0), fees=FlatFees(maker=0.0, taker=fee))
    quotes = FixedSlippage(reference="oracle", notional=1e4, priority_fee=1.0)
    taker = Group(name="taker", strategy=StaleQuoteTaker(fee=fee), members=1, capital=1e9)
    rare = Recording(every_seconds=1e6, book_every_seconds=1e6, positions_every_seconds=1e6)
    model = PerpModel(
        venue,
        plain_diffusion(volatility=per_block / math.sqrt(BLOCK_YEARS)),
        [makers(quotes), taker],
        blocks=blocks,
        recording=rare,
    )
    index = np.empty((blocks, markets))
    for block in range(blocks):
        model.step()
        index[block] = model.state.markets["index"]
    fills = model.frames()["fills"]
    symbols = {symbol: k for k, symbol in enumerate(model.state.symbols)}
    market = np.array([symbols[symbol] for symbol in fills["market"].to_list()])
    side = np.where(fills["side"].to_numpy() == "buy", 1.0, -1.0)
    price = fills["price"].to_numpy()
    edge = side * (index[fills["block"].to_numpy(), market] / price - 1.0) - fills["taker_fee"].to_numpy() / (
        price * fills["size"].to_numpy()
    )
    mean = edge.sum() / ((blocks - lag) * markets)
    h = fee_in_deviations
    law = deviation * 2.0 * (NormalDist().pdf(h) - h * NormalDist().cdf(-h))
    assert mean == pytest.approx(law, rel=0.05)
    if fee == 0.0:
        assert law == pytest.approx(0.798 * per_block * math.sqrt(lag), rel=1e-3)
