"""Addressed random numbers: the published answers of Philox, one address one number, and the right distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from abm.kernels.random import (
    fill_normals,
    fill_uniforms,
    four_uniforms,
    normal,
    philox_words,
    student_t,
    two_uniforms,
    uniform,
    words,
)
from abm.streams import stream_key

KEY = stream_key(7, "test")
FULL = 0xFFFFFFFF
addresses = st.tuples(st.integers(0, 2**40), st.integers(0, 2**31 - 1), st.integers(0, 2**20))


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((FULL,) * 4, (FULL, FULL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers_of_random123(counter, key, answer):
    out = np.zeros(4, np.uint64)
    philox_words(np.uint64(key[0] | key[1] << 32), *(np.uint64(word) for word in counter), out)
    assert tuple(int(word) for word in out) == answer


@given(addresses)
def test_an_address_is_a_number_whatever_was_drawn_before(address):
    first = uniform(KEY, *address)
    uniform(KEY, 1, 2, 3)
    assert uniform(KEY, *address) == first
    assert two_uniforms(KEY, *address)[0] == first
    assert all(0.0 <= u < 1.0 for u in (*two_uniforms(KEY, *address), *four_uniforms(KEY, *address)))


@given(a=addresses, b=addresses)
def test_other_addresses_are_other_numbers(a, b):
    if a != b:
        assert words(KEY, *a) != words(KEY, *b)
    assert words(KEY, *a) != words(KEY ^ np.uint64(1), *a)


def test_blocks_beyond_32_bits_are_addresses_of_their_own():
    assert words(KEY, 5, 0, 0) != words(KEY, 5 + (1 << 32), 0, 0)


def test_a_table_holds_the_draws_of_its_addresses():
    uniforms, normals = np.zeros((5, 3)), np.zeros((5, 3))
    fill_uniforms(KEY, 11, uniforms)
    fill_normals(KEY, 11, normals)
    for row in range(5):
        for draw in range(3):
            assert uniforms[row, draw] == uniform(KEY, 11, row, draw)
            assert normals[row, draw] == normal(KEY, 11, row, draw)


def test_more_rows_change_none_of_the_old():
    few, many = np.zeros((4, 2)), np.zeros((9, 2))
    fill_uniforms(KEY, 3, few)
    fill_uniforms(KEY, 3, many)
    assert (many[:4] == few).all()


@pytest.mark.parametrize("axis", ["block", "row", "draw"])
def test_uniforms_are_uniform_and_independent_along_every_axis(axis):
    n = 4096
    if axis == "block":
        draws = np.array([uniform(KEY, block, 0, 0) for block in range(n)])
    else:
        shape = (n, 1) if axis == "row" else (1, n)
        table = np.zeros(shape)
        fill_uniforms(KEY, 0, table)
        draws = table.ravel()
    assert stats.kstest(draws, "uniform").pvalue > 1e-3
    counts = np.histogram(draws, bins=64, range=(0.0, 1.0))[0]
    assert stats.chisquare(counts).pvalue > 1e-3
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4.0 / math.sqrt(n)
    assert len(set(draws.tolist())) == n


def test_two_and_four_uniforms_are_independent_of_each_other():
    pairs = np.array([two_uniforms(KEY, 0, row, 0) for row in range(2048)])
    quads = np.array([four_uniforms(KEY, 0, row, 0) for row in range(2048)])
    for table in (pairs, quads):
        correlations = np.corrcoef(table.T) - np.eye(table.shape[1])
        assert np.abs(correlations).max() < 4.0 / math.sqrt(2048)
        for column in table.T:
            assert stats.kstest(column, "uniform").pvalue > 1e-3


def test_normals_are_normal():
    table = np.zeros((4096, 1))
    fill_normals(KEY, 0, table)
    assert np.isfinite(table).all()
    assert stats.kstest(table.ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("degrees", [2.5, 4.0, 30.0])
def test_student_t_has_its_tails(degrees):
    draws = np.array([student_t(KEY, 0, row, 0, degrees) for row in range(4096)])
    assert np.isfinite(draws).all()
    assert stats.kstest(draws, stats.t(degrees).cdf).pvalue > 1e-3


@given(st.integers(), st.text(max_size=20), st.text(max_size=20))
def test_streams_have_keys_of_their_own(seed, name, other):
    assert stream_key(seed, name) == stream_key(seed, name)
    assert stream_key(seed, name) != stream_key(seed + 1, name)
    if name != other:
        assert stream_key(seed, name) != stream_key(seed, other)
