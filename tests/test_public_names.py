"""The public names are one list, each can be imported, and importing the package costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import abm


@pytest.mark.parametrize("name", abm.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(abm, name) is not None


def test_the_list_has_no_duplicates_and_unknown_names_fail() -> None:
    assert len(abm.__all__) == len(set(abm.__all__))
    assert set(abm.__all__) <= set(dir(abm))
    with pytest.raises(AttributeError, match="no attribute 'Scalperz'"):
        _ = abm.Scalperz


def test_importing_the_package_loads_neither_mesa_nor_numba() -> None:
    code = "import abm, sys; print(sorted({'mesa', 'numba', 'polars', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
