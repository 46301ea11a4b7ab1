"""Events and halts: a market that is closed, a rule that is voted on, money that is stolen, a chain that stands still.

Known answers, with conservation checked in every block.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import polars as pl
import pytest

import abm
from abm.lab.config import load, read_experiment, resolved
from abm.mechanisms.events import Event
from abm.mechanisms.guards import Guard
from abm.mechanisms.venue import Venue
from abm.model import PerpModel
from abm.parameters import ParameterError
from abm.state import ACTIVE, BAR_LIQUIDATIONS, CONDITIONAL, DEPOSIT, HALTED, NEVER, PLACE, SETTLED, WITHDRAW
from abm.testing import check_rule
from tests.model.small_worlds import EXACT, SMALL, Path, Script, listing, path, plain_venue, scripted

LONG, SHORT = 0, 1  # rows of two traders who meet at 1000 USD in block 0


def buys(coins: float, market: str = "BTC") -> Any:
    return lambda trader: trader.buy(market, coins, 1000.0)


def sells(coins: float, market: str = "BTC") -> Any:
    return lambda trader: trader.sell(market, coins, 1000.0)


def two_traders(
    venue: Venue, prices: tuple[float, ...], blocks: int = 10, long_capital: float = 200.0, short_capital: float = 1000.0,
    later: dict[int, Any] | None = None, **options: Any,
) -> tuple[PerpModel, list[Script]]:  # fmt: skip
    """One coin long against one coin short at 1000 USD, each with the capital said; the long goes on as `later` says."""
    return scripted(
        venue, path(*prices), [(long_capital, {0: buys(1.0), **(later or {})}), (short_capital, {0: sells(1.0)})], blocks, **options
    )


def with_events(*events: Event, **changes: Any) -> Venue:
    return plain_venue(**{"events": events, **changes})


def with_guards(*guards: Guard, **changes: Any) -> Venue:
    return plain_venue(**{"guards": guards, **changes})


def send(trader: Script, kind: int, **fields: Any) -> None:
    """Writes one transaction of any kind by hand, arriving in this block."""
    state = trader.state
    n = int(state.venue["transactions"][0])
    state.venue["transactions"] = n + 1
    row = state.transactions[n : n + 1]
    row[:] = 0
    row["kind"] = kind
    row["account"] = trader.row
    row["expires"] = NEVER
    row["submitted"] = row["arrives"] = trader.model.block
    for name, value in fields.items():
        row[name] = value


def stop(trader: Script, trigger: float) -> None:
    """A tenth of a coin to be sold when the price falls to `trigger`."""
    send(trader, CONDITIONAL, side=-1, tick=1, lots=100_000, amount=trigger)


def last(frames: dict[str, pl.DataFrame], column: str, table: str = "markets") -> float:
    return float(frames[table][column][-1])


# Final settlement.


@pytest.mark.parametrize(
    ("event", "price"),
    [
        (abm.Delisting(at_seconds=3.0), 1050.0),
        (abm.Delisting(at_seconds=3.0, price_of="mark"), 1050.0),
        (abm.Delisting(at_seconds=3.0, price_of="affordable"), 1050.0),
        (abm.Delisting(at_seconds=1.0, vote_seconds=2.0), 1050.0),
        (abm.Delisting(at_seconds=3.0, price_of="set", price=900.0), 900.0),
    ],
)
def test_a_delisted_market_is_settled_at_its_price(event: abm.Delisting, price: float) -> None:
    model, traders = two_traders(with_events(event), (1000.0, 1010.0, 1030.0, 1050.0, 2000.0))
    model.run()
    assert traders[LONG].account["collateral"] == pytest.approx(200.0 + price - 1000.0, abs=EXACT)
    assert traders[SHORT].account["collateral"] == pytest.approx(1000.0 - price + 1000.0, abs=EXACT)
    assert model.state.markets["status"][0] == SETTLED
    assert model.state.markets["open_interest"][0] == 0
    frames = model.frames()
    assert frames["markets"].filter(pl.col("block") < 3)["status"].to_list() == [ACTIVE] * 3
    assert frames["markets"].filter(pl.col("block") >= 3)["status"].unique().to_list() == [SETTLED]


def test_orders_end_with_the_market_and_new_ones_are_refused() -> None:
    later = {
        1: lambda trader: (trader.buy("BTC", 0.1, 900.0), stop(trader, 500.0)),
        4: lambda trader: (trader.buy("BTC", 0.1, 900.0), stop(trader, 500.0)),
    }
    model, _ = two_traders(with_events(abm.Delisting(at_seconds=3.0)), (1000.0,), later=later, recording=orders_too())
    model.run()
    ended = model.frames()["orders"].sort("block", "kind")
    assert ended.select("block", "reason", "kind").rows() == [
        (3, "market_settled", PLACE),
        (3, "market_settled", CONDITIONAL),
        (4, "market_halted", PLACE),
        (4, "market_settled", CONDITIONAL),
    ]
    assert model.state.venue["conditionals"][0] == 0


def orders_too() -> abm.Recording:
    return abm.Recording(every_seconds=1.0, book_every_seconds=1e6, positions_every_seconds=1e6, orders=True)


@pytest.mark.parametrize("losses_to", ["counterparties", "everybody"])
@pytest.mark.parametrize(("fund", "paid_by_short"), [(1000.0, 0.0), (30.0, 70.0), (0.0, 100.0)])
def test_a_deficit_goes_through_the_fund_and_then_to_others(losses_to: Any, fund: float, paid_by_short: float) -> None:
    """The long has 200 USD and loses 300: a hundred is missing."""
    event = abm.Delisting(at_seconds=3.0, price_of="set", price=700.0, losses_to=losses_to)
    model, traders = two_traders(with_events(event, insurance_fund=fund), (1000.0,))
    model.run()
    assert traders[LONG].account["collateral"] == 0.0
    assert traders[SHORT].account["collateral"] == pytest.approx(1300.0 - paid_by_short, abs=EXACT)
    assert model.state.funds["balance"][0] == pytest.approx(max(fund - 100.0, 0.0), abs=EXACT)
    frames = model.frames()
    settled = frames["liquidations"].filter(pl.col("result") == "market_settled")
    assert settled["account"].to_list() == [traders[LONG].row]
    assert settled["fund_delta"][0] == pytest.approx(-min(fund, 100.0), abs=EXACT)
    if losses_to == "counterparties" and paid_by_short > 0.0:
        taken = frames["deleveragings"]
        assert taken["haircut"].to_list() == pytest.approx([paid_by_short])
        assert taken["price"][0] == pytest.approx(700.0 + paid_by_short)
        assert traders[SHORT].account["socialised"] == 0.0
    else:
        assert traders[SHORT].account["socialised"] == pytest.approx(-paid_by_short, abs=EXACT)


def test_holders_bear_a_loss_before_bystanders() -> None:
    """The short has 100 USD and gains 999, and bears the 899 that the long lacks; bystanders in another market bear nothing."""
    event = abm.Delisting(at_seconds=3.0, price_of="set", price=1.0, losses_to="everybody", symbol="BTC")
    venue = replace(with_events(event), listings=(listing("BTC"), listing("ETH")))
    scripts = [(100.0, {0: buys(1.0)}), (100.0, {0: sells(1.0)}), (400.0, {0: buys(1.0, "ETH")}), (400.0, {0: sells(1.0, "ETH")})]
    model, traders = scripted(venue, two_markets(), scripts, 6)
    model.run(3)
    model.run(1)
    assert [trader.account["collateral"] for trader in traders[:2]] == [0.0, pytest.approx(200.0, abs=EXACT)]
    assert traders[2].account["socialised"] == 0.0
    assert model.state.positions["lots"][:, 0].tolist() == [0, 0, 0, 0]
    assert (model.state.positions["lots"][2:, 1] != 0).all()


def two_markets() -> Path:
    """Both at 1000 USD for ever."""
    return Path(prices=((1000.0, 1000.0),))


def test_an_account_in_two_markets_is_settled_in_one() -> None:
    """Below zero over both, it is made whole for its share in the market that closes and keeps the other position."""
    event = abm.Delisting(at_seconds=2.0, price_of="set", price=500.0, losses_to="everybody", symbol="BTC")
    venue = replace(with_events(event, enforcement=abm.ProtocolEnforcement(lag_blocks=1000)), listings=(listing("BTC"), listing("ETH")))
    script = {0: lambda trader: (trader.buy("BTC", 1.0, 1000.0), trader.buy("ETH", 1.0, 1000.0))}
    other = {0: lambda trader: (trader.sell("BTC", 1.0, 1000.0), trader.sell("ETH", 1.0, 1000.0))}
    model, (long, short) = scripted(venue, two_markets(), [(200.0, script), (2000.0, other)], 4)
    model.run()
    # Equity 200 - 500 = -300 at the settlement price; maintenance margin 3 % of 500 and of 1000, so a third of the hole is BTC's.
    assert long.account["socialised"] == pytest.approx(100.0, abs=EXACT)
    assert short.account["socialised"] == pytest.approx(-100.0, abs=EXACT)
    assert long.account["equity"] == pytest.approx(-200.0, abs=EXACT)
    assert model.state.positions["lots"][long.row].tolist()[0] == 0


def test_a_vote_that_fails_changes_nothing() -> None:
    venue = plain_venue()
    ordinary, _ = two_traders(venue, (1000.0, 1010.0, 990.0))
    voted, _ = two_traders(replace(venue, events=(abm.Delisting(at_seconds=2.0, acceptance=0.0),)), (1000.0, 1010.0, 990.0))
    assert ordinary.run().state.accounts.tobytes() == voted.run().state.accounts.tobytes()


def test_votes_pass_as_often_as_they_should() -> None:
    passed = 0
    for seed in range(200):
        venue = with_events(abm.Delisting(at_seconds=0.0, acceptance=0.3))
        model = PerpModel(venue, path(1000.0), [], blocks=1, seed=seed, spare_accounts=1, capacity=SMALL)
        passed += int(model.run().state.markets["status"][0] == SETTLED)
    assert pytest.approx(passed, abs=4.0 * np.sqrt(200 * 0.3 * 0.7)) == 0.3 * 200


def test_a_breaker_does_not_open_a_closed_market() -> None:
    breaker = abm.CircuitBreaker(threshold=0.01, window_seconds=1.0, halt_seconds=1.0)
    venue = with_events(abm.Delisting(at_seconds=2.0), guards=(breaker,))
    model, _ = two_traders(venue, (1000.0, 1100.0, 1000.0, 1000.0, 1100.0, 1000.0, 1000.0), blocks=12)
    statuses = model.run().frames()["markets"]["status"].to_list()
    assert statuses[1] == HALTED
    assert set(statuses[2:]) == {SETTLED}


@pytest.mark.parametrize("clearing", ["VirtualAmm", "OraclePool", "SkewedPool"])
@pytest.mark.parametrize("price_of", ["oracle", "affordable"])
def test_a_curve_or_a_pool_is_settled_too(clearing: str, price_of: Any) -> None:
    """Traders against the venue's own account, with conservation checked; afterwards nothing is quoted."""
    venue = with_events(abm.Delisting(at_seconds=4.0, price_of=price_of), clearing=getattr(abm, clearing)(), insurance_fund=1e5)
    script = {1: lambda trader: trader.buy("BTC", 0.02)}
    model, (trader,) = scripted(venue, path(1000.0, 1000.0, 1000.0, 1005.0), [(500.0, script)], 8)
    model.run(3)
    assert model.state.positions["lots"][trader.row, 0] > 0
    model.run(5)
    assert not model.state.positions["lots"].any()
    assert model.state.markets["best_bid"][0] == 0
    assert trader.account["collateral"] > 0.0


# Rules that are voted on.


def test_a_voted_margin_holds_after_the_vote_only() -> None:
    """2.5 % of maintenance becomes 15 %: the long with 100 USD on 1000 is liquidated from that block on."""
    change = abm.RuleChange(at_seconds=2.0, vote_seconds=3.0, margin=abm.FlatMargin(initial_margin_fraction=0.25))
    venue = with_events(change, margin=abm.FlatMargin(initial_margin_fraction=0.05, maintenance_fraction_of_initial=0.5))
    model, traders = two_traders(venue, (1000.0,), long_capital=100.0)
    model.run(5)
    assert traders[LONG].account["maintenance_margin"] == pytest.approx(25.0)
    model.run(1)
    assert traders[LONG].account["maintenance_margin"] == pytest.approx(150.0)
    assert model.frames()["liquidations"]["block"].to_list()[0] == 5


def test_voted_fees_and_caps_hold_after_the_vote_only() -> None:
    change = abm.RuleChange(at_seconds=3.0, fees=abm.FlatFees(maker=0.0, taker=0.001), open_interest_cap=2500.0)
    script = {b: buys(1.0) for b in (0, 4, 5)}
    other = {b: sells(1.0) for b in (0, 4, 5)}
    model, (long, short) = scripted(with_events(change), path(1000.0), [(1e4, script), (1e4, other)], 8)
    model.run()
    fills = model.frames()["fills"]
    assert fills["block"].to_list() == [0, 4]
    assert fills["taker_fee"].to_list() == pytest.approx([0.0, 1.0])
    assert long.account["fees"] + short.account["fees"] == pytest.approx(-1.0)


def test_a_change_that_changes_nothing_leaves_every_byte() -> None:
    venue = plain_venue(fees=abm.FlatFees(maker=0.0001, taker=0.0005))
    ordinary, _ = two_traders(venue, (1000.0, 1010.0, 990.0))
    voted, _ = two_traders(
        replace(venue, events=(abm.RuleChange(at_seconds=2.0, margin=venue.margin, fees=venue.fees),)), (1000.0, 1010.0, 990.0)
    )
    assert ordinary.run().state.accounts.tobytes() == voted.run().state.accounts.tobytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: abm.Delisting(price=5.0), "Delisting.price: 5; a price above zero goes with"),
        (lambda: abm.Delisting(price_of="set"), "Delisting.price: 0; a price above zero goes with"),
        (lambda: abm.Drain(source="cohort"), "Drain.cohort: ''; the name of a cohort goes with"),
        (lambda: abm.Drain(source="pool", cohort="vault"), "Drain.cohort: 'vault'; the name of a cohort goes with"),
        (lambda: abm.ChainHalt(from_seconds=5.0, to_seconds=5.0), "ChainHalt.to_seconds: 5 must be greater than from_seconds 5"),
        (lambda: abm.PausedFunctions(functions=("deposits",), symbol="BTC"), "PausedFunctions.symbol: deposits can only be paused"),
        (lambda: abm.PausedFunctions(functions=("minting",)), "PausedFunctions.functions: 'minting' is not one of trading"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_an_unknown_market_is_refused() -> None:
    with pytest.raises(ParameterError, match="there is no market 'BTX'; the nearest name is 'BTC'"):
        two_traders(with_events(abm.Delisting(symbol="BTX")), (1000.0,))


@pytest.mark.slow
def test_a_change_of_every_rule_keeps_what_rules_promise() -> None:
    check_rule(
        abm.RuleChange(
            margin=abm.TieredMargin(), fees=abm.TieredFees(), funding=abm.ClampedPremiumFunding(), liquidation=abm.PartialLiquidation(),
            enforcement=abm.KeeperEnforcement(), deleveraging=abm.RankedDeleveraging(), open_interest_cap=1e6,
        )
    )  # fmt: skip


# Thefts.


def test_a_drained_fund_is_gone_and_accounted_for() -> None:
    model, _ = two_traders(with_events(abm.Drain(at_seconds=2.0, share=0.4), insurance_fund=1000.0), (1000.0,))
    model.run()
    assert model.state.funds["balance"][0] == pytest.approx(600.0)
    assert last(model.frames(), "net_deposits", "venue") == pytest.approx(1000.0 + 200.0 + 1000.0 - 400.0)


def test_a_drained_cohort_books_a_loss() -> None:
    groups = [abm.Group(name=name, strategy=abm.Holders(leverage=0.0), members=2, capital=500.0) for name in ("others", "vault")]
    venue = with_events(abm.Drain(at_seconds=2.0, share=0.5, source="cohort", cohort="vault"))
    model = PerpModel(venue, path(1000.0), groups, blocks=5, check=True, capacity=SMALL).run()
    assert model.state.accounts["collateral"].tolist() == [500.0, 500.0, 250.0, 250.0]
    cohort = model.frames()["cohorts"]
    assert last({"cohorts": cohort.filter(cohort["cohort"] == "vault")}, "liquidation", "cohorts") == pytest.approx(-500.0)


def test_an_unknown_cohort_is_refused() -> None:
    group = abm.Group(name="vault", strategy=abm.Holders(leverage=0.0), members=2, capital=500.0)
    venue = with_events(abm.Drain(source="cohort", cohort="vaults"))
    with pytest.raises(ParameterError, match=r"Drain\.cohort: there is no cohort 'vaults'; the nearest name is 'vault'"):
        PerpModel(venue, path(1000.0), [group], blocks=5, capacity=SMALL)


def test_without_cohorts_no_name_is_near() -> None:
    with pytest.raises(ParameterError, match=r"Drain\.cohort: there is no cohort 'vault'$"):
        two_traders(with_events(abm.Drain(source="cohort", cohort="vault")), (1000.0,))


def test_a_drained_pool_is_worth_less() -> None:
    venue = with_events(abm.Drain(at_seconds=2.0, share=0.25, source="pool"), clearing=abm.OraclePool())
    model, _ = scripted(venue, path(1000.0), [(500.0, {})], 5)
    before = float(model.state.accounts["collateral"][-1])
    model.run()
    assert float(model.state.accounts["collateral"][-1]) == pytest.approx(0.75 * before)
    assert float(model.state.pools["value"][0]) == pytest.approx(0.75 * before)
    assert float(model.state.accounts["collateral"][0]) == 500.0  # of a scripted trader, who is of no cohort either


# Halts and pauses.


def test_nothing_is_carried_out_in_a_halt() -> None:
    halt = abm.ChainHalt(from_seconds=2.0, to_seconds=5.0)
    later = {b: buys(0.1) for b in range(1, 8)}
    other = {b: sells(0.1) for b in range(1, 8)}
    model, _ = scripted(
        with_guards(halt), path(1000.0, 1001.0, 1002.0, 1003.0, 1004.0, 1005.0, 1006.0), [(1e4, later), (1e4, other)], 8,
        recording=orders_too(),
    )  # fmt: skip
    frames = model.run().frames()
    assert frames["fills"]["block"].to_list() == [1, 5, 6, 7]
    assert frames["markets"]["oracle"].to_list() == [1000.0, 1001.0, 1001.0, 1001.0, 1001.0, 1005.0, 1006.0, 1006.0]
    paused = frames["orders"].filter(pl.col("reason") == "paused")
    assert paused["block"].to_list() == [2, 2, 3, 3, 4, 4]


def test_a_chain_that_begins_halted() -> None:
    model, _ = two_traders(with_guards(abm.ChainHalt(from_seconds=0.0, to_seconds=3.0)), (1000.0, 1100.0), later={3: buys(0.5)})
    model.run()
    assert model.frames()["fills"].height == 0
    assert model.frames()["markets"]["oracle"].to_list()[:4] == [1000.0, 1000.0, 1000.0, 1100.0]


def test_it_restarts_on_stale_prices_if_it_must() -> None:
    halt = abm.ChainHalt(from_seconds=2.0, to_seconds=4.0, stale_blocks=2)
    model, _ = two_traders(with_guards(halt), (1000.0, 1001.0, 1002.0, 1003.0, 1004.0, 1005.0, 1006.0))
    assert model.run().frames()["markets"]["oracle"].to_list()[:8] == [1000.0, 1001.0, 1001.0, 1001.0, 1001.0, 1001.0, 1006.0, 1006.0]


@pytest.mark.parametrize(
    ("changes", "first_trade", "first_liquidation"),
    [
        ({}, 5, 5),
        ({"warm_up_blocks": 2}, 7, 7),
        ({"stale_blocks": 3}, 5, 8),
        ({"stale_blocks": 3, "waits_for_oracle": True}, 8, 8),
        ({"liquidation_grace_seconds": 4.0}, 5, 9),
    ],
)
def test_trading_and_liquidation_resume_when_they_may(changes: Any, first_trade: int, first_liquidation: int) -> None:
    """The price falls by 30 % in the halt; a buyer waits below, and the long of block 0 is liquidated when somebody may."""
    halt = abm.ChainHalt(from_seconds=2.0, to_seconds=5.0, **changes)
    maker = {b: lambda trader: trader.buy("BTC", 0.01, 990.0) for b in range(1, 14)}
    taker = {b: lambda trader: trader.sell("BTC", 0.01, 990.0) for b in range(2, 14)}
    model, _ = scripted(
        with_guards(halt, margin=abm.FlatMargin(initial_margin_fraction=0.1)), path(1000.0, 1000.0, 1000.0, 940.0),
        [(100.5, {0: buys(1.0)}), (1e4, {0: sells(1.0)}), (1e4, maker), (1e4, taker)], 14,
    )  # fmt: skip
    frames = model.run().frames()
    fills = frames["fills"].filter(pl.col("block") > 0)
    assert fills.filter(pl.col("liquidation") == 0)["block"].min() == first_trade
    liquidations = frames["liquidations"].filter(pl.col("result") != "market_halted")
    assert liquidations["block"].min() == first_liquidation


def test_an_outage_closes_the_withdrawal_gate() -> None:
    """dYdX v4: fifty blocks after an outage of five minutes or more."""
    gate = abm.WithdrawalGate()
    for seconds, blocked_until in ((290.0, 0), (400.0, 550)):
        halt = abm.ChainHalt(from_seconds=100.0, to_seconds=100.0 + seconds)
        model, _ = scripted(with_guards(gate, halt), path(1000.0), [(100.0, {})], 700)
        assert int(model.run().state.venue["withdrawals_blocked_until"][0]) == pytest.approx(blocked_until, abs=1)


@pytest.mark.parametrize("function", ["deposits", "withdrawals", "cancels", "trading", "conditional orders"])
def test_a_paused_function_does_nothing_until_it_is_resumed(function: Any) -> None:
    guard = abm.PausedFunctions(functions=(function,), from_seconds=2.0, to_seconds=4.0)
    script = {
        0: lambda trader: trader.buy("BTC", 0.1, 900.0),
        2: lambda trader: act(trader, function),
        4: lambda trader: act(trader, function),
    }
    model, (trader,) = scripted(with_guards(guard), path(1000.0), [(1000.0, script)], 6, recording=orders_too())
    before = evidence(model, trader, function)
    model.run(4)
    middle = evidence(model, trader, function)
    model.run(2)
    assert middle == (before if function not in ("trading", "cancels") else 1)
    assert evidence(model, trader, function) != middle


def act(trader: Script, function: str) -> None:
    if function == "deposits":
        send(trader, DEPOSIT, amount=50.0)
    elif function == "withdrawals":
        send(trader, WITHDRAW, amount=50.0)
    elif function == "cancels":
        trader.cancel("BTC")
    elif function == "trading":
        trader.buy("BTC", 0.1, 901.0)
    else:
        stop(trader, 500.0)


def evidence(model: PerpModel, trader: Script, function: str) -> float:
    if function in ("deposits", "withdrawals"):
        return float(trader.account["collateral"])
    if function in ("cancels", "trading"):
        return int(trader.account["open_orders"])
    return int(model.state.venue["conditionals"][0])


def test_liquidations_can_be_paused_in_one_market() -> None:
    guard = abm.PausedFunctions(functions=("liquidations",), from_seconds=0.0, symbol="ETH")
    venue = replace(with_guards(guard), listings=(listing("BTC"), listing("ETH")))
    model, _ = scripted(venue, two_markets(), [(100.0, {})], 2)
    model.run()
    assert model.state.markets["barred"].tolist() == [0, BAR_LIQUIDATIONS]


def test_events_and_halts_are_read_from_a_file(tmp_path: FilePath) -> None:
    file = tmp_path / "votes.toml"
    file.write_text(
        """
[run]
seconds = 60

[venue]
preset = "dydx_v4"

[venue.events.raise_margin]
kind = "RuleChange"
at_seconds = 10
vote_seconds = 20
acceptance = 0.5

[venue.events.raise_margin.margin]
kind = "FlatMargin"
initial_margin_fraction = 0.2

[venue.events.close]
kind = "Delisting"
symbol = "ETH"
price_of = "set"
price = 2500.0

[venue.guards.halt]
kind = "ChainHalt"
from_seconds = 20
to_seconds = 40

[world]
kind = "Diffusion"

[population.takers]
kind = "Takers"
members = 3
capital = 1000.0
""",
        encoding="utf-8",
    )
    experiment = load(file)
    change, close = experiment.venue.events
    assert change == abm.RuleChange(at_seconds=10.0, vote_seconds=20.0, acceptance=0.5, margin=abm.FlatMargin(initial_margin_fraction=0.2))
    assert close == abm.Delisting(symbol="ETH", price_of="set", price=2500.0)
    assert abm.ChainHalt(from_seconds=20.0, to_seconds=40.0) in experiment.venue.guards
    assert read_experiment(resolved(experiment)) == experiment
