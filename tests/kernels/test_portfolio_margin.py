"""Portfolio margin against scenarios, its parts, and what liquidation and deleveraging make of a hedged account."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.margin_shares import adds_risk, has_initial_margin_for, lots_to_close, maintenance_part
from abm.kernels.portfolio import correlated_loss, marginal_loss, portfolio_requirement, share_to_close, worst_correlation
from abm.mechanisms.deleveraging import ProRataDeleveraging, RandomDeleveraging
from abm.mechanisms.liquidation import FullLiquidation, PartialLiquidation
from abm.mechanisms.margin import FlatMargin
from abm.mechanisms.portfolio_margin import PortfolioMargin
from abm.parameters import ParameterError
from abm.state import WITHDRAW
from tests.kernels.exchange import Exchange

exposures = st.lists(st.one_of(st.just(0.0), st.floats(-1e6, -1e-3), st.floats(1e-3, 1e6)), min_size=1, max_size=6)
correlations = st.floats(0.0, 1.0)
MARKETS_AS_ONE = PortfolioMargin(lowest_correlation=1.0, highest_correlation=1.0)


def sums(positions: list[float]) -> tuple[float, float]:
    """(sum of squares, net)."""
    return sum(each * each for each in positions), sum(positions)


def portfolio(margin: PortfolioMargin, lots: tuple[int, ...], capital: float = 1e6, **others: object) -> Exchange:
    """Account 0 holds so many coins of each market at 100 USD, bought from accounts 1, 2, ..., one each, and has `capital` left."""
    exchange = Exchange(len(lots) + 3, len(lots), capital=1e6, margin=margin, **others)  # type: ignore[arg-type]
    for k, size in enumerate(lots):
        if size > 0:
            exchange.trade(0, k + 1, size, 100, k)
        elif size < 0:
            exchange.trade(k + 1, 0, -size, 100, k)
    for table in (exchange.state.accounts["collateral"], exchange.state.accounts["net_deposits"], exchange.state.venue["net_deposits"]):
        table[0] -= 1e6 - capital
    return exchange


def parts(exchange: Exchange) -> list[float]:
    """What of account 0's maintenance margin each position causes."""
    s = exchange.state
    maintenance = exchange.risk(0)[2]
    return [
        maintenance_part(s.positions, s.markets, s.margin_tiers, 0, k, maintenance, abs(exchange.lots(0, k)) * 100.0)
        for k in range(s.n_markets)
    ]


# The formula


@given(positions=exposures, ends=st.tuples(correlations, correlations))
def test_the_worst_correlation_is_the_worst_of_a_grid(positions: list[float], ends: tuple[float, float]) -> None:
    lowest, highest = sorted(ends)
    squares, net = sums(positions)
    found = portfolio_requirement(squares, net, 0.0, lowest, highest)
    grid = [
        math.sqrt(max(sum(a * b * (1.0 if i == j else rho) for i, a in enumerate(positions) for j, b in enumerate(positions)), 0.0))
        for rho in np.linspace(lowest, highest, 21)
    ]
    assert found == pytest.approx(max(grid), rel=1e-9, abs=1e-6 * math.sqrt(squares) + 1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_it_is_the_worst_loss_of_all_moves_as_likely_as_a_shock(rho: float) -> None:
    """Moves z of three markets with z' R^-1 z = 1, where R has 1 on its diagonal and rho beside it: a shock of one market alone is one
    of them. The worst loss on a fine grid of such moves is the requirement, from below."""
    positions = np.array([3.0, -2.0, 0.5])
    root = np.linalg.cholesky(np.full((3, 3), rho) + (1.0 - rho) * np.eye(3))
    angles = np.linspace(0.0, 2.0 * math.pi, 721)
    around, above = np.meshgrid(angles, angles[:361] / 2.0 * 2.0)
    directions = np.stack([np.cos(around) * np.sin(above), np.sin(around) * np.sin(above), np.cos(above)])
    losses = -np.einsum("i,ij,jab->ab", positions, root, directions)
    found = correlated_loss(*sums(positions.tolist()), rho)
    assert losses.max() <= found * (1.0 + 1e-12)
    assert losses.max() == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize(
    ("positions", "rho", "loss"),
    [((3.0, 4.0), 0.0, 5.0), ((3.0, 4.0), 1.0, 7.0), ((3.0, -4.0), 1.0, 1.0), ((3.0, -4.0), 0.5, math.sqrt(13.0)), ((3.0,), 0.4, 3.0)],
)
def test_known_losses(positions: tuple[float, ...], rho: float, loss: float) -> None:
    assert correlated_loss(*sums(list(positions)), rho) == pytest.approx(loss)


@given(a=exposures, b=exposures, rho=correlations)
def test_two_portfolios_together_never_need_more_than_apart(a: list[float], b: list[float], rho: float) -> None:
    width = max(len(a), len(b))
    a, b = a + [0.0] * (width - len(a)), b + [0.0] * (width - len(b))
    together = [x + y for x, y in zip(a, b, strict=True)]
    apart = correlated_loss(*sums(a), rho) + correlated_loss(*sums(b), rho)
    assert correlated_loss(*sums(together), rho) <= apart * (1.0 + 1e-9) + 1e-6


@given(positions=exposures, rho=correlations, which=st.integers(0, 5))
def test_marginal_losses_are_slopes_and_add_up(positions: list[float], rho: float, which: int) -> None:
    squares, net = sums(positions)
    loss = correlated_loss(squares, net, rho)
    slopes = [marginal_loss(each, net, rho) for each in positions]
    assert sum(slopes) == pytest.approx(loss * loss, rel=1e-9, abs=1e-9 * squares)
    k = which % len(positions)
    if loss < 1e-2 * math.sqrt(squares) or positions[k] == 0.0:
        return
    step = 1e-4
    ends = []
    for factor in (1.0 - step, 1.0 + step):
        moved = [each * (factor if j == k else 1.0) for j, each in enumerate(positions)]
        ends.append(correlated_loss(*sums(moved), rho))
    assert loss * (ends[1] - ends[0]) / (2.0 * step) == pytest.approx(slopes[k], rel=1e-3, abs=1e-3 * squares)


@given(positions=exposures, rho=correlations, which=st.integers(0, 5))
def test_closing_lowers_the_loss_to_the_share_and_no_further(positions: list[float], rho: float, which: int) -> None:
    k = which % len(positions)
    squares, net = sums(positions)
    if marginal_loss(positions[k], net, rho) <= 1e-9 * squares:
        return
    most = share_to_close(positions[k], net, rho)
    assert 0.0 < most <= 1.0
    left = [
        correlated_loss(*sums([each * (1.0 - share if j == k else 1.0) for j, each in enumerate(positions)]), rho)
        for share in (0.0, 0.5 * most, most, min(1.5 * most, 1.0))
    ]
    slack = 1e-6 * math.sqrt(squares)
    assert left[0] >= left[1] - slack
    assert left[1] >= left[2] - slack
    if most < 1.0:
        assert left[3] >= left[2] - slack


# Accounts


def test_a_hedge_needs_less_and_two_bets_no_more_than_the_sum() -> None:
    for lots, rho, initial in (
        ((100, -100, 0), (1.0, 1.0), 200.0),  # the floor: 1 % of 20,000
        ((100, -50, 0), (1.0, 1.0), 500.0),
        ((100, -100, 0), (0.5, 1.0), 1_000.0),
        ((100, 100, 0), (0.5, 1.0), 2_000.0),
        ((100, 100, 0), (0.0, 0.0), 1_000.0 * math.sqrt(2.0)),
        ((100, 100, -200), (0.0, 1.0), 1_000.0 * math.sqrt(6.0)),
    ):
        exchange = portfolio(PortfolioMargin(lowest_correlation=rho[0], highest_correlation=rho[1]), lots)
        assert exchange.risk(0)[1:] == pytest.approx((initial, 0.5 * initial)), lots
        exchange.check()


def test_one_position_needs_what_it_needs_alone() -> None:
    for margin in (
        PortfolioMargin(initial_shock=(0.1, 0.2)),
        FlatMargin(initial_margin_fraction=(0.1, 0.2), maintenance_fraction_of_initial=0.5),
    ):
        exchange = portfolio(margin, (0, -70))  # type: ignore[arg-type]
        assert exchange.risk(0)[1:] == pytest.approx((1_400.0, 700.0))


def test_leverage_of_ones_own_counts_before_markets_net() -> None:
    exchange = portfolio(PortfolioMargin(lowest_correlation=0.0, highest_correlation=0.0), (30, 40))
    exchange.state.positions["least_margin_fraction"][0] = 0.5
    assert exchange.risk(0)[1:] == pytest.approx((2_500.0, 250.0))


def test_a_hedged_account_may_trade_and_withdraw_where_markets_net() -> None:
    flat = FlatMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5)
    for margin, most in ((flat, 3_000.0), (MARKETS_AS_ONE, 4_800.0)):
        exchange = portfolio(margin, (100, -100), capital=5_000.0)  # type: ignore[arg-type]
        assert exchange.execute(WITHDRAW, 0, amount=most + 1.0).reason == "undercollateralised"
        assert exchange.execute(WITHDRAW, 0, amount=most).reason == "filled"
        exchange.check()
    exchange = portfolio(MARKETS_AS_ONE, (100, -100), capital=450.0)
    exchange.place(1, 1, 100, 50)
    assert exchange.place(0, -1, 100, 50).reason == "undercollateralised"  # closing half of the hedge needs 500 USD instead of 200
    exchange.place(2, -1, 100, 50, market=1)
    assert exchange.place(0, 1, 100, 20, market=1).reason == "filled"
    exchange.check()


@given(lots=st.tuples(*[st.integers(-60, 60)] * 3), ends=st.tuples(correlations, correlations))
def test_parts_add_up_to_the_margin_and_no_hedge_has_one(lots: tuple[int, ...], ends: tuple[float, float]) -> None:
    lowest, highest = sorted(ends)
    exchange = portfolio(PortfolioMargin(lowest_correlation=lowest, highest_correlation=highest, gross_floor=1e-6), lots)
    found = parts(exchange)
    maintenance = exchange.risk(0)[2]
    assert sum(found) == pytest.approx(maintenance)
    s = exchange.state
    for k, size in enumerate(lots):
        assert 0.0 <= found[k] <= maintenance * (1.0 + 1e-12)
        assert adds_risk(s.positions, s.markets, s.margin_tiers, 0, k) == (found[k] > 0.0)
        most = lots_to_close(s.positions, s.markets, s.margin_tiers, 0, k)
        assert min(abs(size), 1) <= most <= abs(size)


def test_all_of_it_is_the_bets_and_none_the_hedges() -> None:
    assert parts(portfolio(MARKETS_AS_ONE, (100, -60))) == pytest.approx([200.0, 0.0])
    assert parts(portfolio(MARKETS_AS_ONE, (100, 100, -60))) == pytest.approx([350.0, 350.0, 0.0])
    assert parts(portfolio(MARKETS_AS_ONE, (100, -100))) == pytest.approx([50.0, 50.0])  # the floor


def test_a_hedge_may_be_taken_over_by_who_could_not_take_a_bet() -> None:
    exchange = portfolio(MARKETS_AS_ONE, (100, -100))
    s = exchange.state
    s.accounts["collateral"][3] = 200.0
    for share, gain, fits in ((1.0, 0.0, True), (1.0, -1.0, False), (0.5, -100.0, True), (0.5, -101.0, False)):
        assert has_initial_margin_for(s.accounts, s.positions, s.markets, s.margin_tiers, 3, 0, share, gain) == fits
    s.positions["lots"][0, 1] = 0
    assert not has_initial_margin_for(s.accounts, s.positions, s.markets, s.margin_tiers, 3, 0, 1.0, 799.0)
    assert has_initial_margin_for(s.accounts, s.positions, s.markets, s.margin_tiers, 3, 0, 1.0, 801.0)


# Liquidation


@pytest.mark.parametrize("liquidation", [PartialLiquidation(min_position_notional=1.0), FullLiquidation()])
def test_only_what_adds_risk_is_liquidated_and_not_too_much(liquidation: PartialLiquidation | FullLiquidation) -> None:
    """Long 100 and short 60 of markets that move as one: the long falls to 62 at most, and margin falls with every close."""
    exchange = portfolio(MARKETS_AS_ONE, (100, -60), capital=500.0, liquidation=liquidation)
    exchange.place(3, 1, 96, 500)
    exchange.place(4, -1, 103, 500, market=1)
    exchange.set_price(96.0)
    exchange.next_block()
    for _ in range(20):
        before = exchange.risk(0)
        records = exchange.liquidate(0)
        assert set(records["market"]) <= {0, -1}
        assert exchange.lots(0, 0) >= 62  # at 96 USD against 60 at 100 USD, in whole lots
        assert exchange.lots(0, 1) == -60
        assert exchange.risk(0)[2] <= before[2]
        exchange.next_block()
        exchange.check()
    assert exchange.lots(0, 0) < 100
    assert exchange.risk(0)[0] >= exchange.risk(0)[2]


@pytest.mark.parametrize("deleveraging", [RandomDeleveraging(), ProRataDeleveraging(weight="size")])
def test_who_is_deleveraged_off_a_bankrupt_portfolio_pays_its_debt_and_no_more(
    deleveraging: RandomDeleveraging | ProRataDeleveraging,
) -> None:
    exchange = portfolio(MARKETS_AS_ONE, (100, -60), capital=500.0, liquidation=FullLiquidation(), deleveraging=deleveraging)
    others = sum(exchange.risk(i)[0] for i in range(1, 5))
    exchange.set_price(80.0)
    exchange.set_price(88.0, 1)
    exchange.next_block()
    owed = exchange.risk(0)[0]
    assert owed == pytest.approx(500.0 - 2_000.0 + 720.0)
    gained = sum(exchange.risk(i)[0] for i in range(1, 5))
    assert gained == pytest.approx(others + 2_000.0 - 720.0)
    exchange.liquidate(0)
    assert len(exchange.deleverage()) == 1
    assert exchange.risk(0)[0] == pytest.approx(0.0, abs=1e-9)
    assert sum(exchange.risk(i)[0] for i in range(1, 5)) == pytest.approx(gained + owed)
    assert exchange.lots(0, 0) == 0
    assert exchange.lots(0, 1) == -60
    exchange.check()


# Parameters


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"PortfolioMargin.lowest_correlation: 0.9 is above highest_correlation 0.5"):
        PortfolioMargin(lowest_correlation=0.9, highest_correlation=0.5)
    with pytest.raises(ParameterError, match=r"PortfolioMargin.gross_floor: 0.2 is above initial_shock 0.1"):
        PortfolioMargin(gross_floor=0.2)
    with pytest.raises(ParameterError, match=r"PortfolioMargin.gross_floor: \(0.01, 0.2\) is above initial_shock 0.1"):
        PortfolioMargin(gross_floor=(0.01, 0.2))


def test_worst_correlation_of_bets_and_of_hedges() -> None:
    assert worst_correlation(*sums([1.0, 2.0]), 0.2, 0.8) == 0.8
    assert worst_correlation(*sums([1.0, -2.0]), 0.2, 0.8) == 0.2
