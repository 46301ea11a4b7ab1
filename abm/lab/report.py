"""The report of a run: one HTML file with everything inside, which opens offline, on a phone and on paper."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from abm.lab.episodes import cascades, symbols
from abm.lab.pair_summary import definitions, frames_beside
from abm.lab.report_tables import (
    balance_text,
    cascades_table,
    definitions_table,
    markets_table,
    methods_list,
    money_table,
    numbers_table,
    population_table,
    provenance_table,
    table,
    tested_table,
)
from abm.lab.store import EXPERIMENT, FIGURES, REPORT, StoredRun, open_run
from abm.lab.summary import headline
from abm.lab.wording import count, duration, names, plural

LARGEST_VECTOR = 600_000  # bytes of an SVG; beyond that the PNG is embedded
SECTIONS = {
    "numbers": "What happened",
    "figures": "Pictures",
    "money": "Who won",
    "tested": "What was tested",
    "cascades": "Cascades",
    "methods": "Methods",
    "provenance": "Provenance",
}


def write_report(folder: str | Path) -> Path:
    """Draws the figures of the run, sweep or analysis in `folder` and writes them and `report.html` there; returns the report's path.

    Each file is replaced whole. Raises InputError when `folder` holds none of them, or a sweep of which no run has ended.
    """
    from abm.lab import analysis_report, sweep_report

    if sweep_report.is_sweep(folder):
        return sweep_report.write_report(folder)
    return analysis_report.write_report(folder) if analysis_report.is_analysis(folder) else write_run_report(folder)


def write_run_report(folder: str | Path) -> Path:
    """As `write_report`, of a single run."""
    from abm.lab.figures import CAPTIONS, save_figures

    run = open_run(folder)
    with tempfile.TemporaryDirectory(prefix=".report.", dir=run.folder) as partial:
        drawn = Path(partial)
        titles = save_figures(run.frames, drawn / FIGURES, run.origin)
        shown = [
            (name, " ".join(text.split()), CAPTIONS[name], drawn / FIGURES / f"{name}.svg", drawn / FIGURES / f"{name}.png")
            for name, text in titles.items()
        ]
        (drawn / REPORT).write_text(report_text(run, shown), encoding="utf-8")
        (run.folder / FIGURES).mkdir(exist_ok=True)
        for path in sorted((drawn / FIGURES).iterdir()):
            os.replace(path, run.folder / FIGURES / path.name)
        os.replace(drawn / REPORT, run.folder / REPORT)
    return run.folder / REPORT


def report_text(run: StoredRun, figures: list[tuple[str, str, str, Path, Path]]) -> str:
    """The whole page. figures: (name, title, caption, SVG file, PNG file) in their order."""
    experiment, provenance, summary, origin = run.experiment, run.provenance, run.summary, run.origin
    methods = provenance["methods"]

    def of(section: str) -> list[dict[str, object]]:
        return [entry for entry in methods if entry["section"] == section]

    name = experiment["name"]
    page = Template(files("abm.lab").joinpath("report.html").read_text(encoding="utf-8"))
    return page.substitute(
        style=files("abm.lab").joinpath("report.css").read_text(encoding="utf-8"),
        title=escape(experiment.get("title") or name),
        question=_paragraph(experiment.get("question", ""), "question"),
        description=_paragraph(experiment.get("description", "")),
        finding=escape(headline(summary)),
        contents="".join(f'<a href="#{key}">{escape(text)}</a>' for key, text in _sections(run).items()),
        numbers=numbers_table(summary, origin),
        markets=markets_table(summary),
        figures="".join(figure_element(*each) for each in figures),
        money=money_table(summary),
        balance=balance_text(summary),
        tested=tested_table(summary),
        cascades=cascades_table(cascades(run.frames["liquidations"]), origin),
        beside=_beside(run),
        methods_beside=_methods_beside(of),
        setting=_setting(run),
        venue=methods_list(of("venue")),
        world=methods_list(of("world")),
        population=population_table(of("population")) + methods_list(of("population")),
        amount=count(len(summary.flat())),
        definitions=definitions_table(summary),
        provenance=provenance_table(provenance),
        command=escape(f"abm run {EXPERIMENT} --out {name}-again"),
    )


def _sections(run: StoredRun) -> dict[str, str]:
    """Anchors and names of the report's sections."""
    if run.pair is None:
        return SECTIONS
    sections = list(SECTIONS.items())
    methods = list(SECTIONS).index("methods")
    return dict([*sections[:methods], ("beside", "The venue beside"), *sections[methods:]])


def _beside(run: StoredRun) -> str:
    """The section about the second venue; nothing where there is one."""
    if run.pair is None:
        return ""
    beside, frames = run.pair.beside, frames_beside(run.frames)
    return "\n".join(
        (
            '<h2 id="beside">The venue beside</h2>',
            f"<p>{escape(headline(beside))}</p>",
            "<h3>Between the two venues</h3>",
            table((), ((escape(what), escape(how_much)) for what, how_much in run.pair.words()), numbers_from=2),
            definitions(run.pair),
            "<h3>What happened there</h3>",
            numbers_table(beside, run.origin),
            markets_table(beside),
            f"<h3>Who won and who lost there</h3><p>{balance_text(beside)}</p>",
            money_table(beside),
            "<h3>Cascades there</h3>",
            cascades_table(cascades(frames["liquidations"]), run.origin),
        )
    )


def _methods_beside(of: Callable[[str], list[dict[str, object]]]) -> str:
    """Rules and traders of the second venue; nothing where there is one."""
    if not of("beside"):
        return ""
    people, both = of("beside population"), of("across")
    return (
        f"<h3>Rules of the venue beside</h3>{methods_list(of('beside'))}"
        f"<h3>Traders there</h3>{population_table(people)}{methods_list(people)}"
        f"<h3>Traders on both venues</h3>{population_table(both)}{methods_list(both)}"
    )


def _setting(run: StoredRun) -> str:
    experiment = run.experiment
    traders = sum(group["members"] for group in experiment["population"].values())
    beside = experiment.get("beside", {})
    others = sum(group["members"] for key in ("population", "across") for group in beside.get(key, {}).values())
    more = f"; beside it a second venue on the same outside market, with {plural(others, 'more trader')}" if beside else ""
    block = experiment["venue"]["seconds_per_block"]
    seconds = experiment["run"]["seconds"]
    listed = symbols(run.frames)
    when = f", from {run.origin:%d %B %Y %H:%M} UTC on real prices" if run.origin else ""
    return escape(
        f"{duration(seconds)}{when} on a perpetual-futures venue with {plural(len(listed), 'market')} ({names(listed)}), "
        f"blocks of {duration(block)}, {plural(traders, 'trader')} in {plural(len(experiment['population']), 'group')}{more}. "
        "Everybody decides on the venue as the last block left it; liquidations are transactions like any other and are checked "
        "again when they execute."
    )


def figure_element(name: str, title: str, caption: str, vector: Path, pixels: Path) -> str:
    """A figure as a piece of HTML that holds the picture: as SVG, or as PNG where that would be too large."""
    kind, path = ("svg+xml", vector) if vector.stat().st_size <= LARGEST_VECTOR else ("png", pixels)
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<figure id="figure-{escape(name)}"><div class="scroll">'
        f'<img alt="{escape(title)}" src="data:image/{kind};base64,{data}"></div>'
        f"{f'<figcaption>{escape(caption)}</figcaption>' if caption else ''}</figure>"
    )


def _paragraph(text: str, style: str = "") -> str:
    if not text.strip():
        return ""
    return f"<p{f' class={style}' if style else ''}>{escape(' '.join(text.split()))}</p>"
