"""Puts the result of the demo into README.md: `python docs/readme_result.py SWEEP_FOLDER` after `make demo`.

Writes the figure to docs/figures and headline and table between the two marks; the rest of the README is left alone.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from abm.lab.cell_table import LEGEND, cell_rows
from abm.lab.sweep_findings import headline
from abm.lab.sweep_results import results_of
from abm.lab.sweep_store import StoredSweep, open_sweep

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- result:begin -->", "<!-- result:end -->"
FIGURE = "phase.png"


def result_text(stored: StoredSweep) -> str:
    """Headline and table in Markdown."""
    columns, rows = cell_rows(stored)
    head = [f"{name}, {unit}" if unit else name for name, unit in columns]
    lines = [" | ".join(row) for row in (head, ["---:"] * len(head), *rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    return f"**{headline(results_of(stored))}**\n\n{table}\n\n{LEGEND[0].upper()}{LEGEND[1:]}."


def with_result(readme: str, text: str) -> str:
    """`readme` with `text` between the marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def main(folder: Path) -> None:
    """Writes figure and table of the sweep in `folder`."""
    shutil.copyfile(folder / "figures" / FIGURE, ROOT / "docs" / "figures" / "lag_and_leverage.png")
    README.write_text(with_result(README.read_text(), result_text(open_sweep(folder))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
