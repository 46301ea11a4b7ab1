"""The layout of the tables that every block walks through: whole cache lines, beginning at one."""

from __future__ import annotations

import numba
import pytest

from abm.state import ACCOUNT, CACHE_LINE, empty_table


def test_an_account_is_three_whole_cache_lines():
    assert ACCOUNT.itemsize == 3 * CACHE_LINE
    offsets = {name: field[1] for name, field in ACCOUNT.fields.items()}
    assessed = ("collateral", "equity", "maintenance_margin", "initial_margin", "below_maintenance_since", "below_zero_since")
    assert all(offsets[name] < CACHE_LINE for name in assessed)
    assert all(CACHE_LINE <= offsets[name] < 2 * CACHE_LINE for name in ("fees", "taker_fee", "maker_volume", "used_notional"))


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="rows of plain Python have no layout to speak of")
@pytest.mark.parametrize("shape", [1, 7, (3, 5)])
def test_tables_begin_at_a_cache_line(shape):
    assert empty_table(shape, ACCOUNT).ctypes.data % CACHE_LINE == 0
