"""Limits: price bands, withdrawal floors, outflow of deposits, margin by size, and what a bad oracle bars."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.limits import band_in_ticks, least_deposits
from abm.kernels.oracle_validity import NOT_POSITIVE, VALID, barred_actions
from abm.kernels.size_margin import counted_profit, high_leverage_fraction, size_discounted_weight, size_scaled_fraction
from abm.mechanisms.limits import DepositOutflowLimit, OracleQualityGuard, PriceBand, WithdrawalFloor
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.margin import SizeMargin
from abm.parameters import ParameterError
from abm.state import BAR_FUNDING, BAR_LIQUIDATIONS, BAR_RISK, BAR_TRADES, BAR_TRIGGERS, IMMEDIATE_OR_CANCEL, REASONS, WITHDRAW
from tests.kernels.exchange import Exchange


class TestPriceBand:
    def banded(self, **settings: object) -> Exchange:
        exchange = Exchange(4, capital=1e6, **settings)  # type: ignore[arg-type]
        PriceBand(band=0.05, reference="oracle").watch(exchange.state, None)
        return exchange

    def test_an_aggressive_order_takes_what_lies_inside(self) -> None:
        exchange = Exchange(4, capital=1e6)
        exchange.place(1, -1, 105, 10)
        exchange.place(1, -1, 106, 10)
        PriceBand(band=0.05).watch(exchange.state, None)
        outcome = exchange.place(0, 1, 255, 20, IMMEDIATE_OR_CANCEL)
        assert [(fill.tick, fill.lots) for fill in outcome.fills] == [(105, 10)]
        assert outcome.reason == "no_liquidity"

    def test_nothing_rests_outside(self) -> None:
        exchange = self.banded()
        assert exchange.place(0, 1, 94, 1).reason == "out_of_range"
        assert exchange.place(0, -1, 106, 1).reason == "out_of_range"
        assert exchange.place(0, 1, 95, 1).reason == "filled"
        assert exchange.place(0, -1, 105, 1).reason == "filled"

    def test_liquidations_wait_at_the_band(self) -> None:
        exchange = Exchange(4, capital=[1000.0, 1e6, 1e6, 1e6], liquidation=FullLiquidation(penalty=0.0), fund=1e6)
        exchange.trade(0, 1, 100, 100)
        exchange.place(2, 1, 80, 100)
        exchange.set_price(92.0)
        exchange.next_block()
        PriceBand(band=0.05).watch(exchange.state, None)  # down to 88
        (record,) = exchange.liquidate(0)
        assert REASONS[int(record["result"])] == "no_liquidity"

    def test_references(self) -> None:
        exchange = Exchange(2)
        exchange.state.markets["last_tick"], exchange.state.markets["mark"], exchange.state.markets["oracle"] = 50, 100.0, 200.0
        seen = {}
        for reference in ("oracle", "mark", "last trade"):
            PriceBand(band=0.1, reference=reference).watch(exchange.state, None)  # type: ignore[arg-type]
            seen[reference] = (int(exchange.state.markets["lowest_tick"][0]), int(exchange.state.markets["highest_tick"][0]))
        assert seen == {"oracle": (180, 220), "mark": (90, 110), "last trade": (45, 55)}
        with pytest.raises(ParameterError, match="PriceBand.reference: 'index' is not one of"):
            PriceBand(reference="index")  # type: ignore[arg-type]

    @given(price=st.floats(0.5, 1e5), band=st.floats(1e-6, 1.0), tick=st.floats(1e-3, 10.0))
    def test_a_band_is_never_empty(self, price: float, band: float, tick: float) -> None:
        ticks = int(2.0 * price / tick) + 3
        low, high = band_in_ticks(price, band, tick, ticks)
        assert 1 <= low <= high < ticks


class TestWithdrawals:
    def test_a_tenth_of_the_notional_must_stay(self) -> None:
        exchange = Exchange(3, capital=[10_000.0, 1e6, 1e6])
        WithdrawalFloor(fraction=0.3).init(exchange.state, 1)
        exchange.trade(0, 1, 100, 100)  # notional 10,000, initial margin 1,000
        assert exchange.execute(WITHDRAW, 0, amount=7_001.0).reason == "undercollateralised"
        assert exchange.execute(WITHDRAW, 0, amount=7_000.0).reason == "filled"
        assert exchange.execute(WITHDRAW, 2, amount=1e6).reason == "filled"  # without positions there is no floor

    def test_deposits_fall_only_slowly(self) -> None:
        exchange = Exchange(3, capital=1e6)
        rule = DepositOutflowLimit(share=0.25, threshold=0.0, average_seconds=100.0)
        memory = rule.init(exchange.state, 1)
        rule.watch(exchange.state, memory)
        assert float(exchange.state.venue["withdrawal_capacity"][0]) == pytest.approx(750_000.0)
        assert exchange.execute(WITHDRAW, 0, amount=750_001.0).reason == "gated"
        assert exchange.execute(WITHDRAW, 0, amount=750_000.0).reason == "filled"
        rule.watch(exchange.state, memory)
        assert 0.0 < float(exchange.state.venue["withdrawal_capacity"][0]) < 10_000.0

    @given(average=st.floats(0.0, 1e9), share=st.floats(0.0, 1.0), threshold=st.floats(0.0, 1e9))
    def test_what_may_leave_is_at_least_the_share_and_the_threshold(self, average: float, share: float, threshold: float) -> None:
        leaving = average - least_deposits(average, share, threshold)
        assert leaving == pytest.approx(max(share * average, threshold), abs=1e-6)


class TestSizeMargin:
    def test_margin_rises_with_the_square_root_of_size(self) -> None:
        margin = SizeMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5, size_factor=0.01, profit_cap=0.0)
        exchange = Exchange(2, margin=margin)
        exchange.trade(0, 1, 4, 100)
        assert exchange.risk(0)[1:] == pytest.approx((40.0, 400.0 * 0.06))  # 0.8 x 0.05 + 0.01 x 2 = 0.06
        exchange.trade(0, 1, 96, 100)
        assert exchange.risk(0)[1:] == pytest.approx((10_000.0 * 0.18, 10_000.0 * 0.14))

    def test_profits_count_up_to_the_cap_for_new_positions_and_in_full_against_liquidation(self) -> None:
        margin = SizeMargin(initial_margin_fraction=0.1, maintenance_fraction_of_initial=0.5, profit_cap=100.0)
        exchange = Exchange(3, capital=[1_000.0, 1e6, 1e6], margin=margin)
        exchange.trade(0, 1, 100, 100)
        exchange.set_price(120.0)
        equity, initial, maintenance = exchange.risk(0)
        assert equity == pytest.approx(3_000.0)
        assert maintenance == pytest.approx(600.0)
        assert equity - initial == pytest.approx(1_000.0 + 100.0 - 1_200.0)  # what is free
        assert exchange.execute(WITHDRAW, 0, amount=1.0).reason == "undercollateralised"
        exchange.place(1, -1, 120, 100)
        assert exchange.place(0, 1, 120, 1).reason == "undercollateralised"
        assert exchange.place(2, 1, 120, 1).reason == "filled"
        exchange.set_price(80.0)
        assert exchange.risk(0)[:2] == pytest.approx((-1_000.0, 800.0))  # losses count in full

    @given(fraction=st.floats(0.001, 0.5), factor=st.floats(0.0, 0.1), a=st.floats(0.0, 1e6), b=st.floats(0.0, 1e6))
    def test_larger_positions_never_need_less(self, fraction: float, factor: float, a: float, b: float) -> None:
        small, large = sorted((a, b))
        assert fraction <= size_scaled_fraction(fraction, factor, small) <= size_scaled_fraction(fraction, factor, large)

    @given(ordinary=st.floats(0.02, 0.5), share=st.floats(0.01, 1.0), factor=st.floats(1e-6, 0.01), size=st.floats(0.0, 1e6))
    def test_high_leverage_fades_to_the_ordinary_fraction(self, ordinary: float, share: float, factor: float, size: float) -> None:
        high = share * ordinary
        found = high_leverage_fraction(ordinary, high, factor, size)
        assert high * (1.0 - 1e-9) <= found
        assert found <= max(ordinary, 0.8 * ordinary + factor * math.sqrt(size)) * (1.0 + 1e-9)

    @given(profit=st.floats(-1e6, 1e6), weight=st.floats(0.0, 1.0), factor=st.floats(0.0, 0.1), cap=st.floats(0.0, 1e4))
    def test_a_profit_never_counts_more_than_it_is(self, profit: float, weight: float, factor: float, cap: float) -> None:
        counted = counted_profit(profit, weight, factor, cap)
        assert counted <= profit or profit <= 0.0
        if profit <= 0.0:
            assert counted == profit
        assert 0.0 <= size_discounted_weight(weight, factor, abs(profit)) <= weight


class TestOracleQuality:
    def barred(self, rule: OracleQualityGuard, age: int = 0, price: float = 100.0, variance: float = 0.0) -> int:
        exchange = Exchange(2)
        memory = rule.init(exchange.state, 1)
        exchange.state.venue["block"] = 1_000
        exchange.state.markets["oracle_confirmed"] = 1_000 - age
        exchange.state.markets["oracle"] = price
        exchange.state.markets["variance_now"] = variance
        rule.watch(exchange.state, memory)
        return int(exchange.state.markets["barred"][0])

    def test_matrix(self) -> None:
        rule = OracleQualityGuard(stale_seconds=48.0, largest_confidence=0.02, confidence_seconds=25.0, largest_ratio=5.0)
        assert self.barred(rule, age=48) == 0
        assert self.barred(rule, age=49) == BAR_RISK
        assert self.barred(rule, variance=0.0039**2) == 0  # 0.0039 x sqrt(25) < 2 %
        assert self.barred(rule, variance=0.0041**2) == BAR_RISK | BAR_TRADES | BAR_FUNDING
        everything = BAR_RISK | BAR_TRADES | BAR_FUNDING | BAR_LIQUIDATIONS | BAR_TRIGGERS
        assert self.barred(rule, price=599.0) == 0
        assert self.barred(rule, price=600.0) == everything
        assert self.barred(rule, price=16.0) == everything

    def test_what_is_barred_at_one_step_is_barred_at_all_that_follow(self) -> None:
        for validity in range(VALID, NOT_POSITIVE):
            assert barred_actions(validity) & ~barred_actions(validity + 1) == 0

    def weak(self, barred: int) -> Exchange:
        exchange = Exchange(4, capital=[1000.0, 1e6, 1e6, 1e6], liquidation=FullLiquidation(penalty=0.0), fund=1e6)
        exchange.trade(0, 1, 100, 100)
        exchange.set_price(94.0)
        exchange.next_block()
        exchange.place(2, 1, 94, 200)
        exchange.state.markets["barred"] = barred
        return exchange

    def test_barred_risk_lets_positions_only_shrink_and_no_money_leave(self) -> None:
        exchange = self.weak(BAR_RISK)
        assert exchange.place(3, -1, 94, 10).reason == "reduce_only"
        assert exchange.place(1, 1, 93, 500).reason == "filled"  # closes part of its short, and no more
        assert sum(order.lots for order in exchange.queue(1) if order.account == 1) == 100
        assert exchange.execute(WITHDRAW, 1, amount=1.0).reason == "gated"
        assert exchange.execute(WITHDRAW, 3, amount=1.0).reason == "filled"
        assert int(exchange.liquidate(0)[0]["lots"]) == 100

    def test_barred_trades_stop_orders_and_not_liquidations(self) -> None:
        exchange = self.weak(BAR_TRADES)
        assert exchange.place(3, -1, 94, 10).reason == "market_halted"
        assert int(exchange.liquidate(0)[0]["lots"]) == 100

    def test_barred_liquidations(self) -> None:
        exchange = self.weak(BAR_LIQUIDATIONS)
        (record,) = exchange.liquidate(0)
        assert REASONS[int(record["result"])] == "market_halted"
        assert exchange.place(3, -1, 94, 10).reason == "filled"
