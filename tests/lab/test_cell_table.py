"""The table of a sweep's configurations: means with intervals, units, and what was not exercised."""

from __future__ import annotations

import polars as pl
import pytest

from abm.lab.cell_table import LEGEND, MOST_CELLS, cell_lines, cell_rows


class Plan:
    outcomes = ("bad_debt", "liquidation_delay_median")
    tables = ("markets",)
    symbols = ("BTC",)
    cohorts = ("takers",)


class Stored:
    """As much of a stored sweep as the table reads."""

    folder = "here"
    plan = Plan
    factors = ("venue.oracle.lag_blocks",)
    outcomes = Plan.outcomes

    def __init__(self, cells: int = 2) -> None:
        rows = [
            {
                "run": 2 * cell + seed,
                "cell": cell,
                "variant": "",
                "status": "failed" if (cell, seed) == (1, 1) else "done",
                "venue.oracle.lag_blocks": 10 * cell,
                "bad_debt": None if (cell, seed) == (1, 1) else 100.0 + 20.0 * seed,
                "liquidation_delay_median": None if cell == 0 else 5.0,
            }
            for cell in range(cells)
            for seed in range(2)
        ]
        self.runs = pl.LazyFrame(rows)


def test_means_have_intervals_and_nothing_is_dropped_in_silence():
    columns, rows = cell_rows(Stored())
    assert columns == [("lag_blocks", ""), ("bad_debt", "USD"), ("liquidation_delay_median", "seconds")]
    # Two values 100 and 120: mean 110, t(1) = 12.706, standard error 10.
    assert rows[0] == ["0", "110 ± 127", "not exercised"]
    assert rows[1][0] == "10"
    assert rows[1][1] == "100"  # one run failed: no interval from one value
    assert rows[1][2].startswith("5")


@pytest.mark.parametrize(("cells", "said"), [(MOST_CELLS, False), (MOST_CELLS + 3, True)])
def test_of_very_many_configurations_the_rest_is_counted(cells, said):
    lines = list(cell_lines(Stored(cells)))
    assert lines[-1] == LEGEND
    assert any("configurations more" in line for line in lines) == said
