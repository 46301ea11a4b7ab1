"""Liquidation in portions: chunks with a cooldown, the backstop vault, the shortage and a buffer, capacity windows, keepers' rewards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abm.kernels.portions import coins_to_cover_shortage, coverable_share, keeper_reward, liquidatable_in_window
from abm.mechanisms.deleveraging import SocialisedLoss
from abm.mechanisms.enforcement import CostCoveringEnforcement, KeeperEnforcement
from abm.mechanisms.limits import InsuranceDrawLimit
from abm.mechanisms.liquidation import ChunkedLiquidation, FullLiquidation, ShortageLiquidation, WindowedLiquidation
from abm.parameters import ParameterError
from abm.state import NOBODY, POST_ONLY, REASONS
from tests.kernels.exchange import COHORTS, Exchange

VAULT = 7  # cohort number
# An account with 100 lots from 100 USD and 1,000 USD is below maintenance margin (5 %) under 94.74 USD, below zero under 90.
CHUNKS = ChunkedLiquidation(whole_below=1_000.0, first_portion=0.2, cooldown_seconds=30.0)


def weak(price: float = 94.0, bids: int = 1000, **settings: object) -> Exchange:
    """Account 0 is below maintenance margin at `price`; account 2 bids for so many lots there."""
    capital = settings.pop("capital", [1000.0, 1e6, 1e6, 1e6])
    exchange = Exchange(4, capital=capital, fund=settings.pop("fund", 10_000.0), **settings)  # type: ignore[arg-type]
    exchange.trade(0, 1, 100, 100)
    exchange.set_price(price)
    exchange.next_block()
    if bids:
        exchange.place(2, 1, int(price), bids)
    return exchange


def results(records: object) -> list[tuple[str, int]]:
    return [(REASONS[int(record["result"])], int(record["lots"])) for record in records]  # type: ignore[attr-defined]


class TestChunks:
    def test_a_fifth_first_then_a_cooldown_then_all_of_it(self) -> None:
        exchange = weak(liquidation=CHUNKS)
        assert results(exchange.liquidate(0)) == [("filled", 20)]
        exchange.set_price(93.0)  # equity 320, maintenance 372: still to be liquidated
        exchange.place(2, 1, 93, 1000)
        for _ in range(29):
            exchange.next_block()
            assert results(exchange.liquidate(0)) == [("already_liquidated", 0)]
        exchange.next_block()
        assert results(exchange.liquidate(0)) == [("filled", 80)]
        exchange.check()

    def test_a_position_up_to_the_limit_is_sold_whole(self) -> None:
        exchange = weak(liquidation=ChunkedLiquidation(whole_below=9_400.0))
        assert results(exchange.liquidate(0)) == [("filled", 100)]

    def test_who_recovers_in_between_starts_anew(self) -> None:
        exchange = weak(liquidation=CHUNKS)
        exchange.liquidate(0)
        exchange.set_price(99.0)
        exchange.next_block()
        exchange.set_price(93.0)
        exchange.place(2, 1, 93, 1000)
        exchange.next_block()
        assert results(exchange.liquidate(0)) == [("filled", 16)]  # a fifth of 80, without waiting

    def test_the_first_chunk_may_be_all_that_is_needed(self) -> None:
        exchange = weak(liquidation=CHUNKS)
        exchange.liquidate(0)
        exchange.next_block()
        assert exchange.risk(0)[0] >= exchange.risk(0)[2]
        assert results(exchange.liquidate(0)) == [("not_liquidatable", 0)]


class TestBackstop:
    RULE = ChunkedLiquidation(whole_below=1e9, backstop_cohort=COHORTS[VAULT])

    def broken(self, price: float, rule: ChunkedLiquidation = RULE, **settings: object) -> Exchange:
        exchange = weak(price, bids=0, liquidation=rule, **settings)
        exchange.state.accounts["cohort"][3] = VAULT
        return exchange

    def test_the_vault_gets_position_and_margin_below_two_thirds_of_maintenance(self) -> None:
        exchange = self.broken(93.0)  # equity 300, maintenance 465, two thirds of it 310
        (record,) = exchange.liquidate(0)
        assert results([record]) == [("taken_over", 100)]
        assert (record["price"], record["notional"], record["equity_before"]) == (93.0, 9300.0, 300.0)
        assert (exchange.lots(0), exchange.lots(3)) == (0, 100)
        assert exchange.collateral(0) == 0.0
        assert exchange.risk(3)[0] == pytest.approx(1e6 + 300.0)
        exchange.check()
        exchange.next_block()
        assert results(exchange.liquidate(0)) == [("not_liquidatable", 0)]

    def test_above_two_thirds_the_book_comes_first(self) -> None:
        exchange = self.broken(93.5)  # equity 350, maintenance 467.5, two thirds of it 311.7
        assert results(exchange.liquidate(0)) == [("no_liquidity", 0)]
        assert exchange.lots(3) == 0

    def test_below_zero_it_is_left_to_deleveraging(self) -> None:
        exchange = self.broken(89.0)
        assert results(exchange.liquidate(0)) == [("no_liquidity", 0)]

    def test_a_vault_without_the_margin_does_not_take_over(self) -> None:
        exchange = self.broken(93.0, capital=[1000.0, 1e6, 1e6, 600.0])  # 600 + 300 < 930
        assert results(exchange.liquidate(0)) == [("no_liquidity", 0)]

    def test_nobody_takes_over_without_a_vault(self) -> None:
        exchange = weak(93.0, bids=0, liquidation=ChunkedLiquidation(whole_below=1e9))
        exchange.state.accounts["cohort"] = NOBODY  # as scripted traders are
        assert results(exchange.liquidate(0)) == [("no_liquidity", 0)]

    def test_a_rule_that_names_no_backstop_never_hands_over(self) -> None:
        exchange = weak(91.0, bids=0, liquidation=FullLiquidation())  # everybody is of cohort 0
        assert results(exchange.liquidate(0)) == [("no_liquidity", 0)]

    def test_the_vault_nets_what_it_takes_over(self) -> None:
        exchange = self.broken(93.0)
        exchange.place(2, 1, 93, 40, POST_ONLY)
        exchange.place(3, -1, 93, 40)
        assert exchange.lots(3) == -40
        exchange.liquidate(0)
        assert exchange.lots(3) == 60
        assert int(exchange.state.markets["open_interest"][0]) == 100
        exchange.check()


class TestShortage:
    RULE = ShortageLiquidation(buffer=0.02, liquidator_fee=0.01, most_fund_fee=0.0, initial_portion=1.0, portion_seconds=0.0)

    def test_what_is_closed_restores_margin_and_buffer(self) -> None:
        exchange = weak(liquidation=self.RULE)
        # shortage 0.07 x 9400 - 400 = 258; a coin frees 94 x (0.07 - 0.01): 45.7 coins
        (record,) = exchange.liquidate(0)
        assert results([record]) == [("filled", 46)]
        equity, _, maintenance = exchange.risk(0)
        left = exchange.lots(0) * 94.0
        assert equity >= maintenance + 0.02 * left
        exchange.check()

    def test_the_limit_is_a_fee_away_from_the_mark(self) -> None:
        exchange = weak(bids=0, liquidation=self.RULE)
        exchange.place(2, 1, 93, 100)  # 94 x 0.99 = 93.06
        (record,) = exchange.liquidate(0)
        assert record["fillable_price"] == pytest.approx(93.06)
        assert results([record]) == [("no_liquidity", 0)]

    def test_the_fee_rises_with_the_time_below_maintenance(self) -> None:
        rule = ShortageLiquidation(liquidator_fee=0.01, most_liquidator_fee=0.02, fee_grace_seconds=5.0, fee_slope=0.001)
        exchange = weak(bids=0, liquidation=rule)
        seen = []
        for _ in range(14):
            (record,) = exchange.liquidate(0)
            seen.append(round(1.0 - float(record["fillable_price"]) / 94.0, 9))
            exchange.next_block()
        assert seen == [0.01] * 5 + [0.015, 0.016, 0.017, 0.018, 0.019] + [0.02] * 4

    def test_a_growing_share_may_be_covered(self) -> None:
        rule = ShortageLiquidation(
            buffer=0.02, liquidator_fee=0.01, most_fund_fee=0.0, initial_portion=0.1, portion_seconds=10.0, small_shortage=0.0
        )
        exchange = weak(liquidation=rule)
        (first,) = exchange.liquidate(0)
        assert results([first]) == [("filled", 5)]  # a tenth of 45.7 coins
        exchange.next_block()
        (second,) = exchange.liquidate(0)
        assert 4 <= int(second["lots"]) <= 5  # a second tenth of the whole shortage, less what the rounding up freed

    def test_the_fund_gets_what_closing_leaves_over(self) -> None:
        rule = ShortageLiquidation(buffer=0.02, liquidator_fee=0.01, most_fund_fee=0.01, initial_portion=1.0, portion_seconds=0.0)
        exchange = weak(liquidation=rule)
        (record,) = exchange.liquidate(0)
        fee = min(0.01, 0.95 * (0.07 - 0.01 - 258.0 / 9400.0))
        assert record["fund_delta"] == pytest.approx(fee * float(record["notional"]))

    def test_wrong_parameters(self) -> None:
        with pytest.raises(ParameterError, match="most_liquidator_fee: 0.001 is less than liquidator_fee 0.01"):
            ShortageLiquidation(liquidator_fee=0.01, most_liquidator_fee=0.001)

    @given(
        shortage=st.floats(1.0, 1e6),
        fraction=st.floats(0.02, 0.5),
        fee=st.floats(0.0, 0.01),
        price=st.floats(0.01, 1e5),
    )
    def test_closing_frees_exactly_the_shortage(self, shortage: float, fraction: float, fee: float, price: float) -> None:
        coins = coins_to_cover_shortage(shortage, fraction, fee, 0.0, price, 1.0)
        assert coins * price * (fraction - fee) == pytest.approx(shortage, rel=1e-9)

    @given(shortage=st.floats(51.0, 1e6), elapsed=st.floats(0.0, 100.0), initial=st.floats(0.0, 1.0), freed=st.floats(0.0, 1e6))
    def test_what_is_freed_stays_within_the_growing_share(self, shortage: float, elapsed: float, initial: float, freed: float) -> None:
        share = coverable_share(shortage, elapsed, initial, 60.0, freed, 50.0)
        assert 0.0 <= share <= 1.0
        allowed = min(1.0, elapsed / 60.0 + initial) * (shortage + freed)
        assert share * shortage + freed <= max(allowed, freed) * (1.0 + 1e-9) + 1e-9


class TestWindows:
    # 1 % x 400 x 10 s = 40 coins in ten seconds
    RULE = WindowedLiquidation(maker_fee=0.003, taker_fee=0.007, skew_scale=400.0, multiplier=1.0, window_seconds=10.0, penalty=0.0)

    def windowed(self, rule: WindowedLiquidation = RULE) -> Exchange:
        exchange = weak(liquidation=rule)
        rule.init(exchange.state, 1)
        return exchange

    def test_a_window_lets_so_much_pass_and_the_next_one_again(self) -> None:
        exchange = self.windowed()
        assert results(exchange.liquidate(0)) == [("filled", 40)]
        for _ in range(9):
            exchange.next_block()
            exchange.set_price(90.6)
            exchange.assess()
            assert results(exchange.liquidate(0)) == [("already_liquidated", 0)]
        exchange.next_block()
        assert results(exchange.liquidate(0)) == [("filled", 40)]
        exchange.check()

    def test_a_calm_market_lets_one_more_pass_in_each_block(self) -> None:
        exchange = self.windowed(
            WindowedLiquidation(
                maker_fee=0.003, taker_fee=0.007, skew_scale=400.0, multiplier=1.0, window_seconds=10.0, penalty=0.0, calm_skew=0.5
            )
        )
        exchange.liquidate(0)
        exchange.set_price(90.6)
        exchange.next_block()
        assert results(exchange.liquidate(0)) == [("filled", 40)]

    @given(
        wanted=st.floats(0.0, 1e4),
        capacity=st.floats(0.0, 1e4),
        used=st.floats(0.0, 1e4),
        skew=st.floats(-1.0, 1.0),
        calm=st.floats(0.0, 1.0),
        again=st.booleans(),
    )
    def test_never_more_than_wanted_nor_than_a_window(
        self, wanted: float, capacity: float, used: float, skew: float, calm: float, again: bool
    ) -> None:
        most = liquidatable_in_window(wanted, capacity, used, skew, calm, again)
        assert 0.0 <= most <= wanted
        if capacity > 0.0:
            assert most <= capacity


class TestRewards:
    def reward(self, enforcement: CostCoveringEnforcement | KeeperEnforcement, gas: float) -> float:
        exchange = weak(liquidation=FullLiquidation(penalty=0.0), reward=enforcement.reward())
        enforcement.init(exchange.state, 1)
        (record,) = exchange.liquidate(0, keeper=3, fee=gas)
        assert record["keeper"] == 3
        return float(record["reward"])

    def test_the_reward_covers_the_gas(self) -> None:
        rule = CostCoveringEnforcement(reward_fraction=0.0, least_reward=1.0, profit=0.5, most_reward=100.0)
        assert self.reward(rule, 0.5) == pytest.approx(1.5)
        assert self.reward(rule, 10.0) == pytest.approx(15.0)
        assert self.reward(rule, 1000.0) == 100.0

    def test_a_share_of_the_notional_on_top_of_the_gas(self) -> None:
        rule = CostCoveringEnforcement(reward_fraction=0.001, least_reward=0.0, profit=0.0)
        assert self.reward(rule, 2.0) == pytest.approx(2.0 + 9.4)
        assert self.reward(KeeperEnforcement(reward_fraction=0.001), 2.0) == pytest.approx(9.4)

    @given(cost=st.floats(0.0, 1e4), share=st.floats(0.0, 1e4), least=st.floats(0.0, 1e4), profit=st.floats(0.0, 10.0))
    def test_uncapped_a_keeper_never_loses(self, cost: float, share: float, least: float, profit: float) -> None:
        assert keeper_reward(cost, share, least, profit, 1e300) >= cost


class TestInsuranceDraws:
    def test_the_fund_pays_up_to_the_tiers_draw_and_the_rest_is_shared(self) -> None:
        exchange = weak(89.0, bids=0, liquidation=FullLiquidation(penalty=0.0), deleveraging=SocialisedLoss(), fund=1e6)
        InsuranceDrawLimit(draws=(30.0,)).init(exchange.state, 1)
        exchange.place(2, 1, 89, 20)
        exchange.place(3, 1, 88, 1000)
        (record,) = exchange.liquidate(0)  # 100 USD below zero: 20 lots at 89 cost the fund 20, each lot at 88 two
        assert record["fund_delta"] == pytest.approx(-20.0)
        assert REASONS[int(record["result"])] == "fund_exhausted"
        assert float(exchange.state.markets["insurance_left"][0]) == pytest.approx(10.0)
        exchange.deleverage()
        assert exchange.risk(0)[0] == pytest.approx(0.0, abs=1e-9)
        assert float(exchange.state.accounts["socialised"][1]) < 0.0
        exchange.check()

    def test_draws_by_tier(self) -> None:
        exchange = Exchange(2, 3)
        InsuranceDrawLimit(tiers=("A", "C", "Speculative")).init(exchange.state, 1)
        assert exchange.state.markets["insurance_left"].tolist() == [100e6, 100e3, 0.0]
        with pytest.raises(ParameterError, match="InsuranceDrawLimit.tiers: 'D' is not one of A, B, C"):
            InsuranceDrawLimit(tiers=("D",))  # type: ignore[arg-type]


def test_nobody_is_a_cohort_of_nobody() -> None:
    assert ChunkedLiquidation().terms()["backstop_cohort"][0] == NOBODY
