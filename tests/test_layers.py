"""The layers hold: the contracts of pyproject.toml are kept, they bite when broken, and the lab can be deleted."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "abm"
SIMULATOR = sorted(path for path in PACKAGE.rglob("*.py") if "lab" not in path.relative_to(PACKAGE).parts[:1])

# What each part may import from outside the standard library and this package. A part not listed may use NumPy.
LIBRARIES = {
    "agents": {"mesa", "networkx", "numpy"},
    "kernels": {"numba", "numpy"},
    "model.py": {"mesa", "numpy", "polars"},  # polars: only the type of the frames it hands on
    "recorder.py": {"numpy", "polars"},
    "venue_pair.py": {"mesa", "polars"},
}


def check_contracts(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`lint-imports` run in `folder`."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that the source file at `path` imports, at any depth, as written."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_every_package_is_seen_by_the_contracts():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert PACKAGE in folders
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_contracts_are_kept():
    result = check_contracts(REPOSITORY)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("units.py", "import abm.kernels.random", "layers"),
        ("kernels/random.py", "import abm.lab", "layers"),
        ("mechanisms/added.py", "import abm.worlds", "layers"),
        ("kernels/random.py", "import scipy.stats", "kernels"),
        ("worlds/added.py", "import pandas", "simulator"),
        ("streams.py", "import random", "chance-and-clock"),
        ("mechanisms/added.py", "import mesa", "mesa"),
        ("worlds/added.py", "import polars", "polars"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, module, line, contract):
    shutil.copytree(PACKAGE, tmp_path / "abm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / "abm" / module).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    result = check_contracts(tmp_path, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "0 kept, 1 broken" in result.stdout


def test_a_module_without_a_layer_is_found(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "abm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    (tmp_path / "abm" / "somewhere.py").write_text('"""A module that nobody placed."""\n', encoding="utf-8")
    result = check_contracts(tmp_path, "--contract", "layers")
    assert result.returncode == 1
    assert "abm.somewhere" in result.stdout


def test_the_simulator_does_not_know_the_lab():
    assert SIMULATOR
    knowing = [
        f"{path.relative_to(REPOSITORY)} imports {module}"
        for path in SIMULATOR
        for module in imported_modules(path)
        if module == "abm.lab" or module.startswith("abm.lab.")
    ]
    assert not knowing


@pytest.mark.parametrize("path", SIMULATOR, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_each_part_uses_only_its_libraries(path):
    allowed = LIBRARIES.get(path.relative_to(PACKAGE).parts[0], {"numpy"}) | {"abm"}
    used = {module.split(".")[0] for module in imported_modules(path)} - sys.stdlib_module_names
    assert used <= allowed
