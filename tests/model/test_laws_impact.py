"""Square-root impact, and which position can still be closed at its margin.

Sources: Toth, Lemperiere, Deremble, de Lataillade, Kockelkoren and Bouchaud (2011), "Anomalous price impact and the critical nature of
liquidity in financial markets": where resting orders grow in proportion to the distance from the price, Q moves it as the square root
of Q. With an impact Y sigma sqrt(Q / ADV), the average price of Q is two thirds of that away, so a position can be closed at a margin
of m while Q / ADV <= (3 m / (2 Y sigma))^2.
"""

from __future__ import annotations

import numpy as np
import pytest

from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.margin import FlatMargin
from tests.model.small_worlds import Script, path, plain_venue, scripted

TICK, PRICE = 0.01, 1000.0
STEPS, SPACING = 400, 25  # levels of each side, ticks from one to the next: a tenth of the price deep
GROWTH = 0.01  # coins more at each level than at the one before


def wedge(trader: Script) -> None:
    """Orders whose size grows in proportion to the distance from the price, on both sides."""
    for level in range(1, STEPS + 1):
        distance = level * SPACING * TICK
        trader.buy("BTC", GROWTH * level, limit=PRICE - distance)
        trader.sell("BTC", GROWTH * level, limit=PRICE + distance)


def reach(size: float) -> float:
    """How far `size` coins go into the wedge, as a fraction of the price: size = growth x levels^2 / 2."""
    return float(np.sqrt(2.0 * size / GROWTH)) * SPACING * TICK / PRICE


@pytest.mark.parametrize("side", [1, -1])
def test_impact_goes_with_the_square_root_of_the_size(side: int) -> None:
    """An exponent of 0.5 +- 0.02 over two decades of size, and an average price two thirds of the way."""
    sizes = np.geomspace(5.0, 500.0, 7)
    impacts = []
    for size in sizes:
        script = {1: lambda trader, size=size: (trader.buy if side > 0 else trader.sell)("BTC", float(size))}
        model, _ = scripted(plain_venue(), path(PRICE), [(1e9, {0: wedge}), (1e9, script)], 4)
        model.run()
        fills = model.frames()["fills"]
        assert fills["size"].sum() == pytest.approx(size, abs=1e-5)
        farthest = side * (fills["price"].max() if side > 0 else fills["price"].min()) / PRICE - side
        average = side * ((fills["price"] * fills["size"]).sum() / fills["size"].sum() / PRICE - 1.0)
        impacts.append(farthest)
        assert farthest == pytest.approx(reach(size), rel=0.05)
        assert average == pytest.approx(2.0 / 3.0 * farthest, rel=0.05)
    exponent = np.polyfit(np.log(sizes), np.log(impacts), 1)[0]
    assert exponent == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("margin", [0.01, 0.03, 0.06])
@pytest.mark.parametrize("share", [0.9, 1.1])
def test_a_position_can_be_closed_at_its_margin_up_to_the_square_of_three_halves_of_it(margin: float, share: float) -> None:
    """A long at maintenance margin m is sold into the wedge: up to the bound it keeps something, beyond it the fund pays.

    In the wedge an impact x takes Q(x) = growth x (x price / spacing)^2 / 2 coins, so m = 2 x / 3 is the bound of the head of this file.
    """
    levels = 1.5 * margin * PRICE / (SPACING * TICK)
    size = round(share * GROWTH * levels**2 / 2.0, 6)
    venue = plain_venue(
        margin=FlatMargin(initial_margin_fraction=margin, maintenance_fraction_of_initial=1.0),
        liquidation=FullLiquidation(penalty=0.0),
        insurance_fund=1e9,
    )
    scripts = [
        (1e9, {2: wedge}),
        (1e9, {0: lambda trader: trader.sell("BTC", size, limit=PRICE)}),
        (margin * size * PRICE, {1: lambda trader: trader.buy("BTC", size, limit=PRICE)}),
    ]
    model, (_, _, long) = scripted(venue, path(*[PRICE] * 4, PRICE - 1e-6), scripts, 8)
    model.run()
    assert long.position("BTC") == 0.0
    liquidations = model.frames()["liquidations"]
    assert liquidations["size"].sum() == pytest.approx(size, rel=1e-6)
    paid = 1e9 - float(model.state.funds["balance"][0])
    if share < 1.0:
        assert paid == 0.0
        assert long.equity > 0.0
    else:
        assert paid > 0.0
        assert long.equity == pytest.approx(0.0, abs=1e-6)
