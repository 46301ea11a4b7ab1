"""The same market as full_blocks.py in the plain way: one Mesa object per trader, Python lists for the book, no margin, no funding.

1,000 traders in 4 markets; each sends one order in every step, half resting near the mid for five steps, half taking at once, with the
same sizes and distances. Positions, cash and fees are booked at each fill; nobody is checked.
"""

from __future__ import annotations

import heapq
from collections import deque

import mesa
from measuring import Figure, best_seconds, show

MARKETS = 4
MID = 20_000
LIFETIME = 5
MAKER_FEE, TAKER_FEE = 1e-4, 5e-4


class Order:
    __slots__ = ("trader", "lots", "expires")

    def __init__(self, trader, lots, expires):
        self.trader = trader
        self.lots = lots
        self.expires = expires


class Book:
    """A queue of orders at each price, and a heap of prices on each side; expired orders are dropped when they are met."""

    def __init__(self):
        self.queues = ({}, {})  # bids, asks: price -> queue
        self.prices = ([], [])  # heaps: bids negated

    def best(self, ask, block):
        """(price, queue) of the best order that is still valid on one side, or None."""
        queues, prices = self.queues[ask], self.prices[ask]
        while prices:
            price = prices[0] if ask else -prices[0]
            queue = queues[price]
            while queue and (queue[0].lots == 0 or queue[0].expires <= block):
                queue.popleft()
            if queue:
                return price, queue
            heapq.heappop(prices)
            del queues[price]
        return None

    def rest(self, side, price, order):
        ask = side < 0
        queue = self.queues[ask].get(price)
        if queue is None:
            queue = self.queues[ask][price] = deque()
            heapq.heappush(self.prices[ask], price if ask else -price)
        queue.append(order)


class Trader(mesa.Agent):
    def __init__(self, model):
        super().__init__(model)
        self.cash = 0.0
        self.lots = [0] * MARKETS

    def step(self):
        chance = self.model.random
        market = int(chance.random() * MARKETS)
        side = 1 if chance.random() < 0.5 else -1
        distance = chance.random()
        lots = 1 + int(chance.random() * 100.0)
        if distance < 0.5:
            self.send(market, side, MID - side * (1 + int(distance * 80.0)), lots, rests=True)
        else:
            self.send(market, side, MID + side * 25, lots, rests=False)

    def send(self, market, side, limit, lots, rests):
        model = self.model
        book = model.books[market]
        while lots > 0:
            best = book.best(side > 0, model.block)
            if best is None or (best[0] - limit) * side > 0:
                break
            price, queue = best
            order = queue[0]
            traded = min(lots, order.lots)
            value = traded * price
            self.cash -= side * value + value * TAKER_FEE
            self.lots[market] += side * traded
            order.trader.cash += side * value - value * MAKER_FEE
            order.trader.lots[market] -= side * traded
            order.lots -= traded
            lots -= traded
            model.fills += 1
        if lots > 0 and rests:
            book.rest(side, limit, Order(self, lots, model.block + LIFETIME))


class Market(mesa.Model):
    def __init__(self, traders, seed=1):
        super().__init__(rng=seed)
        self.books = [Book() for _ in range(MARKETS)]
        self.block = 0
        self.fills = 0
        for _ in range(traders):
            Trader(self)

    def step(self):
        self.block += 1
        self.agents.shuffle_do("step")


def measure(traders: int = 1_000, steps: int = 50, repeats: int = 5) -> list[Figure]:
    model = Market(traders)

    def work():
        for _ in range(steps):
            model.step()

    work()
    fills = model.fills
    seconds = best_seconds(work, repeats)
    if sum(sum(trader.lots) for trader in model.agents) != 0:
        raise AssertionError("positions do not add up to zero")
    note = f"{(model.fills - fills) / (traders * steps * repeats):.2f} fills a step"
    return [
        Figure(
            f"plain Mesa loop, {traders:,} traders x {MARKETS} markets", traders * steps / seconds / 1e6, "million agent-steps/s", note=note
        )
    ]


if __name__ == "__main__":
    show(measure())
