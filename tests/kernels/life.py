"""A fixed, busy life of a small venue, and a fingerprint of what it leaves: run by several kinds of compiled and plain code."""

from __future__ import annotations

import hashlib

import numpy as np

from abm.mechanisms.deleveraging import RankedDeleveraging
from abm.mechanisms.liquidation import FullLiquidation
from abm.mechanisms.margin import OpenInterestMargin
from abm.state import CANCEL_ALL, CONDITIONAL, DEPOSIT, IMMEDIATE_OR_CANCEL, LIQUIDATE, NEVER, PLACE, POST_ONLY, REDUCE_ONLY
from tests.kernels.exchange import Exchange

ACCOUNTS = 12
TABLES = (
    "accounts", "positions", "markets", "funds", "venue", "levels", "bitmap", "orders", "expiry", "fills", "ended_orders",
    "liquidations", "deleveragings",
)  # fmt: skip


def live(blocks: int) -> Exchange:
    """So many blocks of orders, cancellations, stops, crashes, liquidations and deleveragings; the same every time."""
    exchange = Exchange(
        ACCOUNTS, 2, ticks=512, tick=0.25, lot=0.1, price=40.0, capital=[50.0 * 1.8**n for n in range(ACCOUNTS)],
        margin=OpenInterestMargin(initial_margin_fraction=0.05, maintenance_fraction_of_initial=0.6, lower_cap=1e4, upper_cap=1e6),
        liquidation=FullLiquidation(), deleveraging=RankedDeleveraging(), maker_fee=-0.0001, taker_fee=0.0004, reward=(0.001, 0.1),
        trigger_band=0.02, order_limits=((20.0, 4.0), (1_000.0, 12.0)), fund=20.0,
    )  # fmt: skip
    draw = np.random.default_rng(5)
    kinds = [PLACE] * 12 + [CANCEL_ALL, CONDITIONAL, LIQUIDATE, DEPOSIT]
    flags = [0, 0, 0, POST_ONLY, IMMEDIATE_OR_CANCEL, REDUCE_ONLY]
    price = 40.0
    for block in range(blocks):
        price = min(max(price * float(np.exp(0.02 * draw.standard_normal())), 10.0), 100.0)
        price *= 0.8 if block % 40 == 39 else 1.0
        for market in (0, 1):
            exchange.set_price(price * (1.0 + 0.1 * market), market)
        exchange.next_block()
        for _ in range(int(draw.integers(1, 9))):
            market, side = int(draw.integers(2)), int(draw.choice([-1, 1]))
            middle = price * (1.0 + 0.1 * market) / 0.25
            life = int(draw.integers(1, 9))
            exchange.submit(
                int(draw.choice(kinds)), int(draw.integers(ACCOUNTS)), market, side=side, lots=int(draw.integers(1, 2000)),
                tick=round(middle + side * int(draw.integers(-6, 4))), flags=int(draw.choice(flags)),
                target=int(draw.integers(ACCOUNTS)), expires=exchange.block + life if life < 5 else NEVER, amount=price * 0.95,
                latency=int(draw.integers(2)),
            )  # fmt: skip
        if block % 10 == 9:
            for account in range(ACCOUNTS):
                exchange.submit(LIQUIDATE, ACCOUNTS - 1, -1, target=account)
        exchange.clear()
        exchange.deleverage()
    return exchange


def fingerprint(exchange: Exchange) -> str:
    """Hash of all tables."""
    digest = hashlib.sha256()
    for name in TABLES:
        digest.update(np.ascontiguousarray(getattr(exchange.state, name)).tobytes())
    return digest.hexdigest()
