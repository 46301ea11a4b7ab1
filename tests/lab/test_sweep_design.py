"""Designs: which points, in which order, and always the same ones."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from abm.lab.design import expand, listed
from abm.lab.errors import InputError
from abm.lab.factors import Factor, read_factors

ONE = Factor("a", ("a",), (1, 2, 3))
TWO = Factor("b", ("b",), ("x", "y"))
WIDE = Factor("w", ("w",), low=1e-3, high=1e3, log=True)
WHOLE = Factor("n", ("n",), low=2.0, high=5.0, integer=True)
DRAWN = ("random", "latin_hypercube", "sobol")


def test_a_grid_has_every_value_with_every_other_and_the_last_factor_fastest():
    assert expand("grid", [ONE, TWO], 0, 1) == [(1, "x"), (1, "y"), (2, "x"), (2, "y"), (3, "x"), (3, "y")]


def test_pairs_are_taken_side_by_side():
    assert expand("zip", [ONE, Factor("b", ("b",), (10, 20, 30))], 0, 1) == [(1, 10), (2, 20), (3, 30)]


def test_a_list_is_taken_as_it_is():
    factors, points = listed([{"a": 1, "b": 2}, {"b": 3, "a": 1}])
    assert [factor.name for factor in factors] == ["a", "b"]
    assert points == [(1, 2), (1, 3)]
    assert factors[0].levels == (1,)


def test_nothing_varied_is_one_point():
    assert expand("grid", [], 0, 1) == [()]


def test_a_range_of_a_grid_is_evenly_spaced_on_its_scale():
    assert Factor("x", ("x",), low=0.0, high=1.0, steps=5).spaced() == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert Factor("x", ("x",), low=1.0, high=1000.0, log=True, steps=4).spaced() == (1.0, 10.0, 100.0, 1000.0)
    assert Factor("x", ("x",), low=1.0, high=4.0, integer=True, steps=7).spaced() == (1, 2, 3, 4)


@pytest.mark.parametrize("design", DRAWN)
def test_drawn_points_are_reproducible_and_depend_on_the_seed(design):
    factors = [WIDE, WHOLE, TWO]
    points = expand(design, factors, 64, 7)
    assert points == expand(design, factors, 64, 7)
    assert points != expand(design, factors, 64, 8)
    assert len(points) == 64


@pytest.mark.parametrize("design", DRAWN)
def test_drawn_points_stay_in_their_ranges_and_reach_all_of_them(design):
    wide, whole, names = zip(*expand(design, [WIDE, WHOLE, TWO], 256, 3), strict=True)
    assert all(1e-3 <= number <= 1e3 for number in wide)
    assert 0.35 < sum(number < 1.0 for number in wide) / 256 < 0.65  # the middle of a log scale
    assert set(whole) == {2, 3, 4, 5}
    assert all(type(number) is int for number in whole)
    assert set(names) == {"x", "y"}


@pytest.mark.parametrize("design", ["latin_hypercube", "sobol"])
def test_designs_that_fill_space_have_one_point_in_each_slice(design):
    (numbers,) = zip(*expand(design, [Factor("u", ("u",), low=0.0, high=1.0)], 32, 5), strict=True)
    assert sorted(math.floor(number * 32) for number in numbers) == list(range(32))


def test_a_sobol_design_is_balanced_in_every_quarter():
    square = [Factor("u", ("u",), low=0.0, high=1.0), Factor("v", ("v",), low=0.0, high=1.0)]
    counts = Counter((u < 0.5, v < 0.5) for u, v in expand("sobol", square, 64, 2))
    assert set(counts.values()) == {16}


def test_every_level_has_the_same_share():
    shares = Counter(ONE.at(k / 300) for k in range(300))
    assert shares == {1: 100, 2: 100, 3: 100}
    whole = Counter(WHOLE.at(k / 400) for k in range(400))
    assert whole == {2: 100, 3: 100, 4: 100, 5: 100}


def test_whole_numbers_on_a_log_scale_reach_both_ends():
    factor = Factor("n", ("n",), low=1.0, high=100.0, log=True, integer=True)
    assert (factor.at(0.0), factor.at(1.0 - 1e-12)) == (1, 100)


@pytest.mark.parametrize(
    ("levels", "labels"),
    [
        ((1, 2), [1, 2]),
        ((1, 2.5), [1.0, 2.5]),
        ((True, False), [True, False]),
        (("a", "b"), ["a", "b"]),
        (({"kind": "A", "x": 1}, {"kind": "B"}), ["A", "B"]),
        (({"kind": "A", "x": 1}, {"kind": "A", "x": 2}), ['{ kind = "A", x = 1 }', '{ kind = "A", x = 2 }']),
        (([1, 2], [3]), ["[1, 2]", "[3]"]),
    ],
)
def test_what_the_column_of_a_factor_says(levels, labels):
    factor = Factor("f", ("f",), levels)
    assert [factor.value(level) for level in levels] == labels
    assert all(type(factor.value(level)) is factor.type for level in levels)


def test_factors_read_what_they_write():
    table = {
        "a": [1, 2],
        "b": {"low": 1.0, "high": 10.0, "scale": "log"},
        "c": {"sets": ["x", "y"], "values": [[1, 2], [3, 4]], "labels": ["p", "q"]},
        "d": {"low": 1.0, "high": 3.0, "integer": True, "levels": 3},
    }
    factors = read_factors(table, "file")
    assert read_factors({factor.name: factor.plain() for factor in factors}, "file") == factors
    assert {factor.name: factor.plain() for factor in factors} == table


def test_a_design_without_an_order_of_its_own_is_the_product():
    expected = list(itertools.product((1, 2, 3), ("x", "y")))
    assert expand("grid", [ONE, TWO], 0, 99) == expected


def test_points_that_do_not_set_the_same_keys_are_refused():
    with pytest.raises(InputError, match=r"sweep\.points\[1\]: sets b, expected a"):
        listed([{"a": 1}, {"b": 1}])
