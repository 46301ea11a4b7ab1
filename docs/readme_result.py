"""Puts the result of the flash crash into README.md: `python docs/readme_result.py RUN_FOLDER` after `make demo`.

Writes the figure to docs/figures and the table between the two marks; the rest of the README is left alone.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from abm.lab.store import open_run
from abm.lab.summary import Summary, headline
from abm.lab.summary_table import key_numbers

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- result:begin -->", "<!-- result:end -->"
SHOWN = (
    "liquidations",
    "of open interest before",
    "peak minute",
    "breach to execution",
    "deleveraging",
    "insurance fund",
    "funding",
    "keepers",
    "lost most",
)


def result_text(summary: Summary) -> str:
    """Headline and table in Markdown."""
    numbers = dict(key_numbers(summary))
    rows = "\n".join(f"| {name} | {numbers[name]} |" for name in SHOWN)
    return f"**{headline(summary)}**\n\n| what | how much |\n| --- | --- |\n{rows}"


def with_result(readme: str, text: str) -> str:
    """`readme` with `text` between the marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def main(folder: Path) -> None:
    """Writes figure and table of the run in `folder`."""
    run = open_run(folder)
    shutil.copyfile(folder / "figures" / "cascade.png", ROOT / "docs" / "figures" / "flash_crash.png")
    README.write_text(with_result(README.read_text(), result_text(run.summary)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
