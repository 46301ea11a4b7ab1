"""Writes every lesson as a notebook with its outputs, from its Python file: `python docs/execute_notebooks.py`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import jupytext
from nbclient import NotebookClient

REPOSITORY = Path(__file__).resolve().parent.parent


def execute(path: Path) -> None:
    """Runs the lesson at `path` in its own folder and writes the notebook beside it."""
    notebook = jupytext.read(path)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=folder).execute()
    for number, cell in enumerate(notebook.cells):
        # What differs from run to run says nothing: times of execution, random names of cells, warnings of libraries.
        cell.id = hashlib.blake2b(f"{number}/{cell.source}".encode(), digest_size=4).hexdigest()
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    jupytext.write(notebook, path.with_suffix(".ipynb"))


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    os.environ.pop("MPLBACKEND", None)
    for lesson in sorted((REPOSITORY / "notebooks").glob("*.py")):
        execute(lesson)
