"""Compilation: a cache that cannot go stale, and machine code that does what plain Python does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numba
import pytest

from abm.kernels.compiled import PACKAGE, cache_folder, source_digest
from abm.kernels.inspection import inspect_money
from tests.kernels.life import fingerprint, live

ROOT = PACKAGE.parent


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two files beside a copy of the real `compiled`: a kernel, and a helper it calls."""
    folder = tmp_path / "code" / "abm"
    (folder / "kernels").mkdir(parents=True)
    (folder / "lab").mkdir()
    for file in (folder / "__init__.py", folder / "kernels" / "__init__.py", folder / "lab" / "charts.py"):
        file.write_text("")
    shutil.copy(PACKAGE / "kernels" / "compiled.py", folder / "kernels")
    (folder / "kernels" / "helper.py").write_text(
        "from abm.kernels.compiled import inline\nSHIFT = 1.0\n\n@inline\ndef shifted(x):\n    return x + SHIFT\n"
    )
    (folder / "kernels" / "caller.py").write_text(
        "from abm.kernels.compiled import kernel\nfrom abm.kernels.helper import shifted\n\n"
        "@kernel\ndef answer(x):\n    return shifted(2.0 * x)\n"
    )
    return folder


def run(code: str, **environment: str) -> str:
    """Output of a fresh interpreter."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)], env=settings | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The name of the cache


def test_any_change_of_a_source_changes_the_digest(package):
    seen = {source_digest(package)}
    for change in (
        lambda: (package / "kernels" / "helper.py").write_text("# other\n"),
        lambda: (package / "kernels" / "helper.py").rename(package / "kernels" / "assistant.py"),
        lambda: (package / "state.py").write_text(""),
        lambda: (package / "state.py").rename(package / "kernels" / "state.py"),
        lambda: (package / "kernels" / "state.py").unlink(),
    ):
        change()
        seen.add(source_digest(package))
    assert len(seen) == 5  # the last change undoes the two before it
    assert source_digest(package) in seen


def test_the_lab_compiles_nothing_and_is_left_out(package):
    before = source_digest(package)
    (package / "lab" / "charts.py").write_text("COLOUR = 'red'\n")
    assert source_digest(package) == before


def test_another_version_of_numba_has_another_cache(package, monkeypatch):
    before = source_digest(package)
    monkeypatch.setattr(numba, "__version__", "0.0.1")
    assert source_digest(package) != before


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_the_folder_is_where_the_user_wants_it(package, tmp_path, monkeypatch, variable):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "wanted"))
    folder = cache_folder(package)
    assert folder.is_relative_to(tmp_path / "wanted")
    assert folder.name == source_digest(package)
    assert folder.is_dir()


def test_where_nothing_is_writable_the_folder_is_a_temporary_one(package, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    first, second = cache_folder(package), cache_folder(package)
    assert first != second
    for folder in (first, second):
        (folder / "code").write_text("can be written")
        shutil.rmtree(folder)


def test_numba_writes_to_the_folder_of_these_sources():
    name = Path(numba.config.CACHE_DIR).name
    assert name == source_digest(PACKAGE) or name.startswith("abm-kernels-")
    if not numba.config.DISABLE_JIT:
        assert Path(inspect_money.compiled.stats.cache_path).is_relative_to(numba.config.CACHE_DIR)


# Stale machine code


@pytest.mark.compiled
def test_an_edited_helper_is_compiled_anew_and_an_unchanged_one_is_not(package, tmp_path):
    ask = "from abm.kernels.caller import answer; print(answer(3.0), len(answer.compiled.stats.cache_hits))"
    place = {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(ask, **place) == "7.0 0"
    assert run(ask, **place) == "7.0 1"
    helper = package / "kernels" / "helper.py"
    helper.write_text(helper.read_text().replace("x + SHIFT", "x - SHIFT"))
    assert run(ask, **place) == "5.0 0"
    helper.write_text(helper.read_text().replace("SHIFT = 1.0", "SHIFT = 10.0"))  # a global of the helper, frozen at compilation
    assert run(ask, **place) == "-4.0 0"


# The same answers


def test_the_life_used_below_is_busy():
    exchange = live(120)
    venue, markets = exchange.state.venue[0], exchange.state.markets
    assert markets["trades"].sum() > 50
    assert markets["liquidated"].sum() > 0
    assert markets["deleveraged"].sum() > 0
    assert venue["transactions_failed"] > 20
    assert venue["orders_live"] > 5
    exchange.assess()
    exchange.check()


FINGERPRINT = "from tests.kernels.life import fingerprint, live; print(fingerprint(live(120)))"


@pytest.mark.compiled
def test_machine_code_does_what_plain_python_does():
    plain = run(FINGERPRINT, PYTHONPATH=str(ROOT), NUMBA_DISABLE_JIT="1")
    assert fingerprint(live(120)) == plain


@pytest.mark.slow
@pytest.mark.compiled
def test_the_private_options_of_inline_change_nothing_but_the_speed():
    """The same kernels with helpers compiled in the ordinary way."""
    ordinary = """
        import sys, types, numba
        plain = types.ModuleType("abm.kernels.compiled")
        plain.kernel = plain.shared_kernel = plain.inline = numba.njit(error_model="numpy")
        sys.modules["abm.kernels.compiled"] = plain
        """
    found = run(textwrap.dedent(ordinary) + FINGERPRINT, PYTHONPATH=str(ROOT))
    assert fingerprint(live(120)) == found


# Calls past Numba's look at the types

SCALED = """
import numpy as np
from abm.kernels.compiled import kernel

@kernel
def scaled(table, factor, other):
    return table[0] * factor + other[0]

one, two, three = np.array([2.0, 9.0]), np.array([3.0]), np.array([4.0])
"""


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """Where the module `calls` is found."""
    (tmp_path / "calls.py").write_text(SCALED)
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}


@pytest.mark.compiled
@pytest.mark.parametrize("checked", ["", "1"])
def test_a_kernel_gives_the_same_whether_its_types_are_looked_at_or_not(place, checked):
    """The second and third call of a table go to machine code directly; a table not met before is looked at again."""
    calls = """
        from calls import one, scaled, three, two
        print(scaled(one, 10, two), scaled(one, 10, two), scaled(one, 11, two))
        print(scaled(two, 10, one), scaled(one, 12, two), scaled(two, 9, one))
        print(scaled(three, 0.5, one), scaled(two, 10, one), scaled(three, 1.5, one))
        """
    assert run(calls, **place, ABM_CHECKED_CALLS=checked) == "23.0 23.0 25.0\n32.0 27.0 29.0\n4.0 32.0 8.0"


@pytest.mark.compiled
def test_other_types_for_the_same_venue_are_noticed_where_calls_are_checked(place):
    calls = """
        from calls import one, scaled, two
        try:
            scaled(one, 10, two), scaled(one, 0.5, two)
        except TypeError as error:
            print(error)
        """
    assert run(calls, **place, ABM_CHECKED_CALLS="1") == "scaled: called with other types than before for the same venue"


@pytest.mark.compiled
def test_a_kernel_keeps_no_table_alive(place):
    calls = """
        import gc, weakref
        import numpy as np
        from calls import scaled
        table = np.ones(3)
        scaled(table, 1, table), scaled(table, 1, table)
        there = weakref.ref(table)
        del table
        gc.collect()
        print(there())
        """
    assert run(calls, **place) == "None"


@pytest.mark.slow
@pytest.mark.compiled
def test_every_rule_and_strategy_calls_its_kernels_with_the_same_types_each_time():
    """All rules, strategies and presets, with the types of every call looked at."""
    suites = ["tests/conformance", "tests/model/test_presets.py", "tests/model/test_mesa.py", "tests/golden"]
    environment = {**os.environ, "ABM_CHECKED_CALLS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *suites], cwd=ROOT, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
