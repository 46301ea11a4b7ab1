"""What is whose: the tables and fields that each kind of rule, a strategy and a hedge may write to, and a watch over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from abm.agents.base import Hedge, Recruits, Strategy, View
from abm.mechanisms.clearing import Clearing
from abm.mechanisms.deleveraging import Deleveraging
from abm.mechanisms.enforcement import Enforcement
from abm.mechanisms.events import Event
from abm.mechanisms.fees import Fees
from abm.mechanisms.funding import Funding
from abm.mechanisms.guards import Guard
from abm.mechanisms.liquidation import Liquidation
from abm.mechanisms.margin import Margin
from abm.mechanisms.mark import Mark
from abm.mechanisms.oracle import Oracle
from abm.mechanisms.ordering import Ordering
from abm.mechanisms.rule import Rule
from abm.state import State, Table
from abm.testing.comparison import changed_fields, tables_of
from abm.testing.form import broken

ALL = "all fields"

Fields = set[str] | str
MAY_WRITE: dict[type, tuple[str, str, dict[str, Fields]]] = {
    Ordering: ("ordering", "arrange", {"sequence": ALL, "sort_keys": ALL}),
    Clearing: (
        "clearing",
        "clear",
        {
            **dict.fromkeys(("accounts", "positions", "funds", "levels", "bitmap", "orders", "expiry", "conditionals"), ALL),
            **dict.fromkeys(("transactions", "sequence", "fills", "ended_orders", "liquidations", "liquidated_lots"), ALL),
            "venue": ALL,
            "pools": ALL,
            "shares": ALL,
            "ranges": ALL,
            "markets": {
                "open_interest", "last_tick", "low_tick", "high_tick", "best_bid", "best_ask", "volume", "liquidated", "trades",
                "insurance_left",
            },
        },
    ),
    Oracle: ("oracle", "publish", {"markets": {"oracle", "oracle_block", "oracle_confirmed"}}),
    Mark: ("mark", "update", {"markets": {"mark", "trigger"}}),
    Margin: ("margin", "update", {"margin_tiers": ALL, "markets": {"open_interest_lower_cap", "open_interest_upper_cap"}}),
    Funding: (
        "funding",
        "settle",
        {
            "accounts": {"collateral", "funding"},
            "markets": {"premium", "funding_rate", "funding_per_day", "funding_index"},
            "venue": {"funding_payments"},
            "funding_payments": ALL,
        },
    ),
    Fees: ("fees", "update", {"accounts": {"taker_fee", "maker_fee", "taker_volume", "maker_volume"}}),
    Liquidation: ("liquidation", "terms", {}),
    Enforcement: ("enforcement", "enforce", {"transactions": ALL, "venue": {"transactions"}}),
    Deleveraging: (
        "deleveraging",
        "absorb",
        {
            "accounts": {"collateral", "deleveraging", "liquidation", "socialised"},
            "positions": {"lots", "entry_value"},
            "markets": {"open_interest", "deleveraged"},
            "funds": {"balance"},
            "venue": {"deleveragings"},
            "deleveragings": ALL,
        },
    ),
    Guard: (
        "guards",
        "watch",
        {
            "markets": {
                "status", "halted_until", "open_interest_cap", "isolated_only", "barred", "lowest_tick", "highest_tick", "insurance_left",
            },
            "venue": {
                "withdrawals_blocked_until", "withdrawal_capacity", "withdrawal_floor", "isolated_markets", "paused", "halt_from",
                "halt_until", "oracle_frozen_until",
            },
        },
    ),
    Event: (
        "events",
        "happen",
        {
            **dict.fromkeys(("accounts", "positions", "funds", "levels", "bitmap", "orders", "expiry", "conditionals"), ALL),
            **dict.fromkeys(("ended_orders", "liquidations", "deleveragings"), ALL),
            "venue": {
                "net_deposits", "orders_free", "orders_live", "conditionals", "ended_orders", "liquidations", "deleveragings",
                "reward_covers_gas",
            },
            "markets": {
                "status", "halted_until", "mark", "open_interest", "deleveraged", "insurance_left", "best_bid", "best_ask",
                "open_interest_cap", "open_interest_lower_cap", "open_interest_upper_cap",
            },
        },
    ),
}  # fmt: skip
DECIDES: dict[str, Fields] = {"transactions": ALL, "spot_orders": ALL, "venue": {"transactions", "spot_orders"}}
HEDGES: dict[str, Fields] = {"spot_orders": ALL, "options": ALL, "venue": {"spot_orders"}}


class Watched:
    """Stands in for a rule, a strategy or a hedge, and compares all tables before and after its verb."""

    def __init__(self, guest: Rule | Strategy | Hedge, verb: str, may_write: dict[str, Fields]) -> None:
        self._guest = guest
        self._verb = verb
        self._may_write = may_write

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._guest, name)
        if name == "init" and isinstance(self._guest, Strategy | Hedge):
            return self._init
        return self._call if name == self._verb and name != "terms" else attribute

    def _init(self, recruits: Recruits) -> Any:
        before = tables_of(recruits.state)
        memory = self._guest.init(recruits)  # type: ignore[arg-type, call-arg]
        opened: dict[str, Fields] = {"options": ALL} if isinstance(self._guest, Hedge) else {"outside": ALL}
        self._compare(before, recruits.state, opened, "init")
        members = recruits.rows[:, None] + np.arange(recruits.state.n_markets if recruits.stride else 1)
        others = np.setdiff1d(np.arange(recruits.state.n_accounts), members)
        if changed_fields(before["outside"][others], recruits.state.outside[others]):
            raise broken(self._guest, "init changed the outside holdings of accounts that are not its own")
        return memory

    def _call(self, place: State | View, *arguments: Any) -> Any:
        state = place if isinstance(place, State) else place.state
        before = tables_of(state)
        result = getattr(self._guest, self._verb)(place, *arguments)
        self._compare(before, state, self._may_write, self._verb)
        if isinstance(self._guest, Ordering):
            self._check_order(state, result)
        for kind, column in ((Oracle, "oracle"), (Mark, "mark")):
            if isinstance(self._guest, kind) and not (np.isfinite(state.markets[column]).all() and (state.markets[column] > 0.0).all()):
                raise broken(self._guest, f"published {state.markets[column].tolist()}: prices must be finite and positive")
        return result

    def _compare(self, before: dict[str, Table], state: State, may_write: dict[str, Fields], verb: str) -> None:
        after = tables_of(state)
        for name, table in after.items():
            allowed = may_write.get(name, set())
            if allowed == ALL:
                continue
            for field in changed_fields(before[name], table):
                if field not in allowed:
                    column = f"{name}.{field}" if field else name
                    block = int(state.venue["block"][0])
                    raise broken(self._guest, f"{verb} changed {column} in block {block}, which is not its own")

    def _check_order(self, state: State, count: Any) -> None:
        pending = int(state.venue["transactions"][0])
        if not (isinstance(count, int | np.integer) and 0 <= count <= pending):
            raise broken(self._guest, f"arrange returned {count!r}; expected how many of {pending} transactions are executed")
        rows = state.sequence[0, :count]
        if len(set(rows.tolist())) != count or (rows < 0).any() or (rows >= pending).any():
            raise broken(self._guest, "arrange wrote a transaction twice, or one that does not exist")
        if (state.transactions["arrives"][rows] > state.venue["block"][0]).any():
            raise broken(self._guest, "arrange let a transaction in before it arrived")
