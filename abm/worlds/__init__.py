"""The world outside the venue: spot prices, the depth behind them, and the price of gas."""
