"""Votes on oracle, mark, ordering and guards: what is in force until the new rule speaks, and that nothing jumps in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest

import abm
from abm.lab.config import load, read_experiment, resolved
from abm.mechanisms.oracle import Outage
from abm.mechanisms.venue import Venue
from abm.parameters import ParameterError
from abm.state import ACTIVE, HALTED, WITHDRAW
from tests.model.small_worlds import EXACT, path, plain_diffusion, plain_venue, scripted
from tests.model.test_laws_events import LONG, buys, sells, send, two_traders

RISING = tuple(1000.0 + 10.0 * block for block in range(12))


def voted(at: int, venue: Venue | None = None, **rules: Any) -> Venue:
    """A venue that gets these rules by a vote in force from block `at` on."""
    return replace(venue or plain_venue(), events=(abm.RuleChange(at_seconds=float(at), **rules),))


def column(venue: Venue, name: str, prices: tuple[float, ...] = RISING, blocks: int = 12) -> list[float]:
    model, _ = two_traders(venue, prices, blocks, long_capital=5_000.0, short_capital=5_000.0)
    values: list[float] = model.run().frames()["markets"][name].to_list()
    return values


# Oracles


def test_a_new_oracle_leaves_the_price_until_its_first() -> None:
    """In block 4 the price of that block is in force; sources that are three blocks late know nothing newer before block 8."""
    seen = column(voted(4, oracle=abm.MedianOracle(lag_blocks=3, sources=1, min_change=0.0)), "oracle")
    assert seen == [1000.0, 1010.0, 1020.0, 1030.0, 1040.0, 1040.0, 1040.0, 1040.0, *RISING[5:9]]


@pytest.mark.parametrize("averaging", ["window", "exponential"])
def test_an_averaged_oracle_goes_on_from_the_price_in_force(averaging: Any) -> None:
    source = abm.MedianOracle(lag_blocks=0, sources=1, min_change=0.0)
    oracle = abm.AveragedOracle(source=source, average_seconds=4.0, averaging=averaging)
    for at in (3, 6):
        prices = (1000.0,) * (at + 1) + (1100.0,) * (11 - at)
        seen = column(voted(at, oracle=oracle), "oracle", prices)
        assert seen[: at + 1] == [1000.0] * (at + 1)
        expected = [1025.0, 1050.0, 1075.0, 1100.0] if averaging == "window" else [1025.0, 1043.75, 1057.8125]
        assert seen[at + 1 : at + 1 + len(expected)] == pytest.approx(expected)


def test_a_pushed_oracle_writes_when_it_is_due_counted_from_the_vote() -> None:
    source = abm.MedianOracle(lag_blocks=0, sources=1, min_change=0.0)
    seen = column(voted(3, oracle=abm.PushedOracle(source=source, deviation=0.5, heartbeat_seconds=4.0)), "oracle")
    assert seen == [1000.0, 1010.0, 1020.0, 1030.0, 1030.0, 1030.0, 1030.0, 1070.0, 1070.0, 1070.0, 1070.0, 1110.0]


def test_a_fallback_holds_the_last_price_counted_from_the_vote() -> None:
    """Both sources are silent: the price in force is the last good one for three seconds, and then the mid of the book."""
    cut_off = (Outage(source=0, from_seconds=0.0),)
    silent = abm.MedianOracle(lag_blocks=0, sources=1, min_change=0.0, outages=cut_off, expiry_seconds=0.0)
    venue = voted(4, oracle=abm.FallbackOracle(primary=silent, backup=silent, stale_seconds=1.0, hold_seconds=3.0, band=0.1))
    bid, ask = {2: lambda trader: trader.buy("BTC", 1.0, 1060.0)}, {2: lambda trader: trader.sell("BTC", 1.0, 1062.0)}
    model, _ = scripted(venue, path(*RISING), [(5_000.0, bid), (5_000.0, ask)], 12)
    assert model.run().frames()["markets"]["oracle"].to_list() == [*RISING[:5], 1040.0, 1040.0, 1040.0] + [1061.0] * 4


# Marks


def test_a_new_mark_values_from_the_next_block_on() -> None:
    """The last trade at 1000 USD is the mark until the vote in block 3, and then the oracle price."""
    seen = column(voted(3, plain_venue(mark=abm.LastTradeMark()), mark=abm.OracleMark()), "mark")
    assert seen == [1000.0] * 4 + list(RISING[4:])


@pytest.mark.parametrize(
    "mark",
    [
        abm.AverageTradeMark(average_seconds=4.0), abm.AverageTradeMark(average_seconds=4.0, averaging="exponential"),
        abm.AveragesMedianMark(short_seconds=2.0, long_seconds=4.0, premium_seconds=3.0), abm.MedianMark(), abm.BasisMedianMark(),
        abm.FairBasisMark(), abm.MidMark(), abm.LastTradeMark(), abm.OracleMarkWithTrigger(),
    ],
    ids=lambda mark: type(mark).__name__,
)  # fmt: skip
@pytest.mark.parametrize("at", [0, 6])
def test_no_mark_jumps_because_it_is_new(mark: Any, at: int) -> None:
    """At a price that does not move."""
    assert column(voted(at, mark=mark), "mark", (1000.0,)) == pytest.approx([1000.0] * 12)


def test_an_average_mark_goes_on_from_the_mark_in_force() -> None:
    """The mark was 1,050 USD and the last trade 1,000: the average falls by a quarter of the gap in each block."""
    venue = voted(5, mark=abm.AverageTradeMark(average_seconds=4.0))
    seen = column(venue, "mark", (1000.0, 1050.0))
    assert seen[4:11] == pytest.approx([1050.0, 1050.0, 1037.5, 1025.0, 1012.5, 1000.0, 1000.0])


def test_a_trigger_price_goes_with_the_mark_that_made_it() -> None:
    model, _ = two_traders(voted(3, plain_venue(mark=abm.OracleMarkWithTrigger()), mark=abm.OracleMark()), (1000.0,), 8)
    model.run(3)
    assert model.state.markets["trigger"][0] > 0.0
    model.run(1)
    assert model.state.markets["trigger"][0] == 0.0


def test_funding_on_averages_starts_without_a_premium() -> None:
    funding = abm.TwapPremiumFunding(window_seconds=100.0, settlement_seconds=5.0)
    model, _ = two_traders(voted(200, funding=funding), (1000.0,), 220, long_capital=5_000.0)
    paid = model.run().frames()["funding"]
    assert paid["block"].to_list() == [200, 205, 210, 215]
    assert paid["rate"].to_list() == pytest.approx([0.0] * 4, abs=1e-12)


# Ordering


def test_an_ordering_voted_on_in_the_first_block_is_as_if_it_had_always_been() -> None:
    def accounts(venue: Venue) -> bytes:
        crowd = [
            abm.Group(name="makers", strategy=abm.LiquidityProviders(), members=6, capital=100_000.0),
            abm.Group(name="takers", strategy=abm.Takers(idle_seconds=5.0), members=60, capital=5_000.0),
        ]
        return abm.PerpModel(venue, plain_diffusion(), crowd, blocks=200, seed=4).run().state.accounts.tobytes()

    new = abm.RandomOrdering(cancels_first=True)
    always, later, never = (plain_venue(ordering=new), voted(0, ordering=new), plain_venue())
    assert accounts(always) == accounts(later) != accounts(never)


# Guards


def test_a_cap_that_is_voted_on_may_rise() -> None:
    """At 1,000 USD of open interest nobody opens more, until the vote in block 3 allows two thousand."""
    script = {block: buys(1.0) for block in (0, 2, 4)}
    other = {block: sells(1.0) for block in (0, 2, 4)}
    venue = voted(3, plain_venue(guards=(abm.OpenInterestCap(caps=1_000.0),)), guards=(abm.OpenInterestCap(caps=2_000.0),))
    model, _ = scripted(venue, path(1000.0), [(1e4, script), (1e4, other)], 8)
    assert model.run().frames()["fills"]["block"].to_list() == [0, 4]


def test_a_guard_is_added_beside_the_others() -> None:
    """A band of one per cent from block 3 on refuses to sell at 900 USD, and the breaker there was still halts."""
    breaker = abm.CircuitBreaker(threshold=0.05, window_seconds=1.0, halt_seconds=2.0)
    venue = voted(3, plain_venue(guards=(breaker,)), guards=(abm.PriceBand(band=0.01),))
    script = {2: lambda trader: trader.sell("BTC", 0.1, 900.0), 4: lambda trader: trader.sell("BTC", 0.1, 900.0)}
    bids = {1: lambda trader: (trader.buy("BTC", 0.1, 950.0), trader.buy("BTC", 0.1, 940.0))}
    prices = (1000.0,) * 6 + (1100.0,)
    model, _ = scripted(venue, path(*prices), [(1e4, script), (1e4, bids)], 10)
    frames = model.run().frames()
    assert frames["fills"].select("block", "price").rows() == [(2, 950.0)]
    assert frames["markets"]["status"].to_list()[6] == HALTED
    assert model.rules.guards == (breaker, abm.PriceBand(band=0.01))


def test_a_new_breaker_ends_the_halt_that_it_finds() -> None:
    """Halted in block 2 for 4 seconds; the breaker of block 3 lets the market go on in block 6, and halts at its own threshold."""
    old = abm.CircuitBreaker(threshold=0.05, window_seconds=1.0, halt_seconds=4.0)
    new = replace(old, threshold=0.5)
    venue = voted(3, plain_venue(guards=(old,)), guards=(new,))
    prices = (1000.0, 1000.0, 1100.0, 1100.0, 1100.0, 1100.0, 1100.0, 1100.0, 1200.0, 1200.0, 500.0)
    model, _ = two_traders(venue, prices, 12, long_capital=5_000.0, short_capital=5_000.0)
    statuses = model.run().frames()["markets"]["status"].to_list()
    assert statuses == [ACTIVE] * 2 + [HALTED] * 4 + [ACTIVE] * 4 + [HALTED] * 2


def test_a_gate_that_is_replaced_lets_go() -> None:
    gate = abm.WithdrawalGate(hourly_minimum=100.0, hourly_fraction=0.0, daily_minimum=100.0, daily_fraction=0.0)
    wide = replace(gate, hourly_minimum=1e6, daily_minimum=1e6)
    script = {block: lambda trader: send(trader, WITHDRAW, amount=150.0) for block in (2, 5)}
    model, (trader,) = scripted(voted(3, plain_venue(guards=(gate,)), guards=(wide,)), path(1000.0), [(1000.0, script)], 7)
    model.run(4)
    assert trader.account["collateral"] == 1000.0
    model.run(3)
    assert trader.account["collateral"] == 850.0


def test_a_floor_that_is_replaced_is_forgotten() -> None:
    venue = voted(3, plain_venue(guards=(abm.WithdrawalFloor(fraction=0.5),)), guards=(abm.WithdrawalFloor(fraction=0.0),))
    script = {block: lambda trader: send(trader, WITHDRAW, amount=300.0) for block in (2, 5)}
    model, traders = two_traders(venue, (1000.0,), 7, long_capital=600.0, later=script)
    model.run(4)
    assert traders[LONG].account["net_deposits"] == pytest.approx(600.0, abs=EXACT)
    model.run(3)
    assert traders[LONG].account["net_deposits"] == pytest.approx(300.0, abs=EXACT)


# All together


def test_rules_that_stay_keep_their_memory() -> None:
    """A vote on the ordering that changes nothing leaves every byte of a run with rings, averages and a breaker."""
    venue = plain_venue(
        mark=abm.MedianMark(), ordering=abm.RandomOrdering(), guards=(abm.CircuitBreaker(threshold=0.02, window_seconds=3.0),)
    )
    runs = [
        two_traders(each, RISING, 12, long_capital=5_000.0, short_capital=5_000.0)[0].run().state
        for each in (venue, voted(6, venue, ordering=venue.ordering))
    ]
    assert runs[0].markets.tobytes() == runs[1].markets.tobytes()
    assert runs[0].accounts.tobytes() == runs[1].accounts.tobytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: abm.RuleChange(guards=(abm.IsolatedMarkets(symbols=("BTC",)),)),
            "RuleChange.guards: IsolatedMarkets cannot be voted on",
        ),
        (lambda: abm.RuleChange(guards=(abm.ChainHalt(),)), "RuleChange.guards: ChainHalt cannot be voted on"),
        (
            lambda: abm.RuleChange(guards=(abm.OpenInterestCap(caps=1.0),), open_interest_cap=2.0),
            "RuleChange.open_interest_cap: OpenInterestCap among the guards sets it too",
        ),
        (
            lambda: voted(3, plain_venue(guards=(abm.WithdrawalGate(),)), guards=(abm.DepositOutflowLimit(),)),
            "Venue.events: after the vote, Venue.guards: WithdrawalGate and DepositOutflowLimit both",
        ),
        (
            lambda: voted(3, plain_venue(clearing=abm.BatchAuction()), liquidation=abm.TakeoverLiquidation()),
            "Venue.events: after the vote, Venue.liquidation: TakeoverLiquidation hands positions",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_voted_on_is_said_before_the_run(make: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_votes_are_read_from_a_file(tmp_path: FilePath) -> None:
    file = tmp_path / "votes.toml"
    file.write_text(
        """
[run]
seconds = 60

[venue]
preset = "dydx_v4"

[venue.events.emergency]
kind = "RuleChange"
at_seconds = 10

[venue.events.emergency.oracle]
kind = "MeanOracle"
sources = 3

[venue.events.emergency.mark]
kind = "MedianMark"

[venue.events.emergency.guards.band]
kind = "PriceBand"
band = 0.02

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
    (change,) = experiment.venue.events
    assert change == abm.RuleChange(
        at_seconds=10.0, oracle=abm.MeanOracle(sources=3), mark=abm.MedianMark(), guards=(abm.PriceBand(band=0.02),)
    )
    assert read_experiment(resolved(experiment)) == experiment
