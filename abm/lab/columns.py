"""What every column of every table means, with its unit: written beside the tables, so that they explain themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from abm.venue_pair import BESIDE

_TIMES = {"block": ("blocks", "since the start of the run"), "seconds": ("seconds", "since the start of the run")}
_MARKET = {"market": ("name", "the market")}
_COHORT = {"cohort": ("name", "the account's cohort; none: a scripted trader")}
_DEPTHS = {
    f"{side}_depth_{width}bp": ("USD", f"resting {side}s within {width} / 10,000 of the mid")
    for side in ("bid", "ask")
    for width in (5, 10, 25, 50, 100, 200)
}

COLUMNS: dict[str, dict[str, tuple[str, str]]] = {
    "markets": _TIMES | _MARKET | _DEPTHS | {
        "index": ("USD per coin", "true outside price, impact of outside orders included"),
        "exogenous": ("USD per coin", "outside price without that impact"),
        "oracle": ("USD per coin", "what the chain was told"),
        "oracle_age": ("blocks", "since the oracle price last changed"),
        "mark": ("USD per coin", "what positions are valued at"),
        "mid": ("USD per coin", "half-way between best bid and best ask; the mark while a side is empty"),
        "best_bid": ("USD per coin", "0: no bid"),
        "best_ask": ("USD per coin", "0: no ask"),
        "last": ("USD per coin", "last trade; 0 before the first"),
        "open_interest": ("coins", "one side"),
        "premium": ("fraction of the index", "last premium sample"),
        "funding_rate": ("fraction per funding interval", "of the last settlement; positive: longs pay"),
        "funding_index": ("USD per coin", "paid by longs since the start"),
        "volume": ("USD", "traded since the start"),
        "liquidated": ("USD", "of positions closed by liquidation since the start"),
        "deleveraged": ("USD", "of positions closed by deleveraging since the start"),
        "trades": ("fills", "since the start"),
        "status": ("code", "0: active, 1: halted, 2: settled for good"),
    },
    "venue": _TIMES | {
        "insurance_fund": ("USD", "balance"),
        "bad_debt": ("USD", "sum of negative equity that nobody has covered"),
        "fees": ("USD", "trading fees collected since the start, net of rebates"),
        "net_deposits": ("USD", "paid in less paid out since the start, fund included"),
        "gas_price": ("USD per transaction", "of a keeper"),
        "withdrawals_open": ("yes or no", "1: withdrawals are possible"),
        "resting_orders": ("orders", "in all books"),
        "below_maintenance": ("accounts", "below maintenance margin"),
        "below_maintenance_notional": ("USD", "of their positions"),
        "below_zero": ("accounts", "with negative equity"),
        "failed_gas": ("USD", "burnt by liquidations that closed nothing, since the start"),
    },
    "cohorts": _TIMES | {
        "cohort": ("name", "the cohort; each column is a sum over its accounts"),
        "equity": ("USD", "collateral and positions at mark, as last assessed"),
        "collateral": ("USD", "cash on the venue, what positions cost already subtracted"),
        "net_deposits": ("USD", "paid in less paid out since the start; what went into a pool is there, on the pool's own account"),
        "paid_to_pools": ("USD", "paid into pools less what came out since the start; of pools themselves: by others, negative"),
        "pool_shares": ("USD", "worth of shares of pools, as last assessed; of pools themselves: of others' shares, negative"),
        "unrealised": ("USD", "value of positions at mark less what they cost"),
        "fees": ("USD", "trading fees received since the start; negative: paid; a pool's belong to its shares, as the next four do"),
        "funding": ("USD", "received since the start"),
        "liquidation": ("USD", "fund cover received less penalties paid since the start"),
        "deleveraging": ("USD", "gained against the mark price in deleveragings since the start"),
        "socialised": ("USD", "of socialised losses since the start; negative: borne"),
        "gas": ("USD", "paid for gas out of outside wallets since the start"),
        "rewards": ("USD", "keepers' rewards since the start"),
        "outside": ("USD", "profit of positions outside the venue since the start"),
        "rebalancing": ("USD", "gained by what was held from look to look as the index moved, its part of pools too; open: at mark"),
        "impermanent": ("USD", "gained by liquidity in ranges, pools and curves against holding what was put in, since the start"),
        "long_notional": ("USD", "of long positions at mark"),
        "short_notional": ("USD", "of short positions at mark"),
        "below_maintenance": ("accounts", "below maintenance margin"),
    },
    "book": _TIMES | _MARKET | {
        "index": ("USD per coin", "true outside price at that moment"),
        "distance": ("fraction of the index", "of the middle of the slice from the index"),
        "resting": ("USD", "in the slice; bids positive, asks negative"),
    },
    "positions": _TIMES | _MARKET | _COHORT | {
        "account": ("row", "number of the account"),
        "size": ("coins", "long > 0"),
        "entry_value": ("USD", "paid for the coins now held; negative for shorts"),
        "mark": ("USD per coin", "what the position is valued at"),
        "equity": ("USD", "of the account"),
        "maintenance_margin": ("USD", "of the account"),
        "account_notional": ("USD", "of all its positions at mark"),
    },
    "fills": _TIMES | _MARKET | {
        "taker": ("row", "account whose order came later"),
        "maker": ("row", "account whose order was resting"),
        "side": ("name", "of the taker"),
        "price": ("USD per coin", "of the resting order"),
        "size": ("coins", "traded"),
        "taker_fee": ("USD", "paid by the taker"),
        "maker_fee": ("USD", "paid by the maker; negative: rebate"),
        "liquidation": ("yes or no", "1: the taker was being liquidated"),
        "maker_age": ("blocks", "that the resting order had waited"),
        "taker_cohort": ("name", "of the taker"),
        "maker_cohort": ("name", "of the maker"),
    },
    "liquidations": _TIMES | _MARKET | _COHORT | {
        "trigger_block": ("blocks", "when equity fell below maintenance margin"),
        "submitted_block": ("blocks", "when the transaction was sent"),
        "account": ("row", "liquidated"),
        "keeper": ("row", "who sent it; -1: the protocol itself"),
        "keeper_cohort": ("name", "of the keeper; none: the protocol itself"),
        "side": ("name", "of the closing order"),
        "size": ("coins", "closed"),
        "size_wanted": ("coins", "allowed by the rule"),
        "result": ("name", "filled, or why it stopped"),
        "fills": ("fills", "of the closing order"),
        "price": ("USD per coin", "average of the fills; 0 without one"),
        "mark": ("USD per coin", "before"),
        "index": ("USD per coin", "before"),
        "fillable_price": ("USD per coin", "limit of the closing order"),
        "bankruptcy_price": ("USD per coin", "at which equity would be zero"),
        "notional": ("USD", "closed, at the prices of the fills"),
        "fund_delta": ("USD", "into the insurance fund (penalty) or out of it (cover)"),
        "reward": ("USD", "to the keeper"),
        "equity_before": ("USD", "of the account"),
        "maintenance_margin_before": ("USD", "of the account"),
        "leverage_before": ("times equity", "notional of all positions; negative when equity is"),
    },
    "deleveragings": _TIMES | _MARKET | {
        "liquidated": ("row", "bankrupt account whose position was closed"),
        "counterparty": ("row", "account on the other side whose position was closed"),
        "liquidated_cohort": ("name", "of the bankrupt account"),
        "counterparty_cohort": ("name", "of the counterparty"),
        "side": ("name", "of the bankrupt account's close"),
        "size": ("coins", "closed"),
        "price": ("USD per coin", "of the closing"),
        "mark": ("USD per coin", "at that moment"),
        "counterparty_profit": ("USD", "unrealised, before"),
        "counterparty_leverage": ("times equity", "before"),
        "haircut": ("USD", "that the counterparty received less than at the mark price"),
    },
    "funding": _TIMES | _MARKET | {
        "rate": ("fraction per funding interval", "positive: longs pay"),
        "rate_per_day": ("fraction per day", "the same"),
        "premium": ("fraction", "average premium that the rate was computed from"),
        "price": ("USD per coin", "that notional was valued at"),
        "per_coin": ("USD per coin", "paid by longs"),
        "paid": ("USD", "that changed hands"),
        "open_interest": ("coins", "one side"),
    },
    "orders": _TIMES | _MARKET | _COHORT | {
        "account": ("row", "whose order or transaction it was"),
        "side": ("name", "of the order"),
        "reason": ("name", "why it ended"),
        "price": ("USD per coin", "its limit"),
        "size": ("coins", "that did not trade"),
        "kind": ("code", "of the transaction: 0 order, 1 cancel, 2 cancel all, 3 conditional, 6 withdrawal, 7 deposit"),
        "age": ("blocks", "in the book"),
    },
}  # fmt: skip


def columns_of(table: str, columns: Iterable[str]) -> dict[str, dict[str, str]]:
    """Unit and meaning of the columns of a table, of either venue. Raises KeyError for one that is not described."""
    described = COLUMNS[table.removeprefix(BESIDE)]
    return {column: {"unit": described[column][0], "about": described[column][1]} for column in columns}


RUN_COLUMNS: dict[str, tuple[str, str]] = {
    "run": ("number", "of the run: cell by cell, seeds fastest, round by round"),
    "cell": ("number", "of the configuration: variant by variant, points fastest"),
    "variant": ("name", "of the rules or fields that are replaced; empty where the sweep has no variants"),
    "point": ("number", "of the combination of factor values"),
    "seed": ("number", "of the world; equal seeds have equal worlds in all cells"),
    "replication": ("number", "of the seed, from 0"),
    "identity": ("hash", "of resolved configuration, seed and code"),
    "status": ("name", "done or failed"),
    "error": ("text", "traceback of a run that failed"),
    "blocks": ("blocks", "simulated"),
}


def columns_of_runs(factors: Iterable[Mapping[str, Any]], outcomes: Iterable[str]) -> dict[str, dict[str, str]]:
    """Unit and meaning of the columns of the table `runs` of a sweep: its own, its factors, then outcomes, as they stand there."""
    from abm.lab.outcomes import find

    own = {name: {"unit": unit, "about": about} for name, (unit, about) in RUN_COLUMNS.items()}
    before = {name: own.pop(name) for name in list(own) if name not in ("identity", "status", "error", "blocks")}
    varied = {
        factor["name"]: {"unit": factor["unit"], "about": f"factor: {factor['about'] or ', '.join(factor['keys'])}"} for factor in factors
    }
    found = {name: find(name) for name in outcomes}
    return before | varied | own | {name: {"unit": outcome.unit, "about": outcome.meaning} for name, outcome in found.items()}
