"""What the reports of sweeps and of analyses have in common: figures drawn into a folder, and a page that is put in place whole."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Protocol

from abm.lab.store import FIGURES, REPORT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawable(Protocol):
    """A figure to be drawn: its file's name, the section of the report that it belongs to, how it is drawn and how it is read."""

    @property
    def name(self) -> str: ...
    @property
    def section(self) -> str: ...
    @property
    def caption(self) -> str: ...
    @property
    def draw(self) -> Callable[[], Figure]: ...


@dataclass(frozen=True)
class Drawn:
    """A figure that has been written: its title and caption, and its files."""

    name: str
    section: str
    title: str
    caption: str
    vector: Path
    pixels: Path


def draw(drawings: Iterable[Drawable], folder: Path) -> list[Drawn]:
    """Writes figures as SVG and PNG into `folder`."""
    from abm.lab.figures.style import arrange, save

    found = []
    for drawing in drawings:
        figure = drawing.draw()
        arrange(figure)
        vector, pixels = (folder / f"{drawing.name}.{suffix}" for suffix in ("svg", "png"))
        save(figure, vector)
        save(figure, pixels)
        found.append(Drawn(drawing.name, drawing.section, " ".join(figure.get_suptitle().split()), drawing.caption, vector, pixels))
    return found


def write_page(folder: Path, drawings: Iterable[Drawable], text: Callable[[list[Drawn]], str]) -> Path:
    """Draws figures and writes them and the page that `text` makes of them; returns the page's path.

    Each file is replaced whole, and figures that an earlier report had and this one has not are removed.
    """
    with tempfile.TemporaryDirectory(prefix=".report.", dir=folder) as partial:
        drawn = draw(drawings, Path(partial))
        (Path(partial) / REPORT).write_text(text(drawn), encoding="utf-8")
        (folder / FIGURES).mkdir(exist_ok=True)
        written = {path.name for each in drawn for path in (each.vector, each.pixels)}
        for path in sorted((folder / FIGURES).iterdir()):
            if path.suffix in (".svg", ".png") and path.name not in written:
                path.unlink()
        for each in drawn:
            for path in (each.vector, each.pixels):
                os.replace(path, folder / FIGURES / path.name)
        os.replace(Path(partial) / REPORT, folder / REPORT)
    return folder / REPORT


def page(title: str, question: str, headline: str, finding: str, sections: Mapping[str, str], names: Mapping[str, str]) -> str:
    """The whole page. title, question, headline: words; finding and sections: HTML; names: of the sections."""
    template = Template(files("abm.lab").joinpath("sweep_report.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=files("abm.lab").joinpath("report.css").read_text(encoding="utf-8"),
        title=escape(title),
        question=paragraph(question, "question"),
        headline=escape(headline),
        finding=finding,
        contents="".join(f'<a href="#{key}">{escape(names[key])}</a>' for key in sections),
        sections="".join(f'\n<h2 id="{key}">{escape(names[key])}</h2>\n{text}\n' for key, text in sections.items()),
    )


def pictures(figures: Iterable[Drawn], section: str) -> str:
    """The figures of a section, each kind with its caption once."""
    from abm.lab.report import figure_element

    told: set[str] = set()
    elements = []
    for each in (each for each in figures if each.section == section):
        caption = each.caption if each.caption not in told else ""
        told.add(each.caption)
        narrow = f'<p class="narrow">{escape(each.title)}</p>'
        elements.append(narrow + figure_element(each.name, each.title, caption, each.vector, each.pixels))
    return "".join(elements)


def entries(texts: Iterable[tuple[str, str]]) -> str:
    """Paragraphs that each begin with what they are about."""
    return "".join(f"<p><b>{escape(what)}.</b> {escape(how)}</p>" for what, how in texts)


def paragraphs(text: str) -> str:
    """A longer text, divided at its empty lines."""
    return "".join(paragraph(part) for part in re.split(r"\n\s*\n", text))


def paragraph(text: str, style: str = "") -> str:
    """Words as a paragraph, `code` between backquotes; nothing where there are none."""
    if not text.strip():
        return ""
    words = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))
    return f"<p{f' class={style}' if style else ''}>{words}</p>"


def environment_rows(described: Mapping[str, Mapping[str, object]], code: str) -> list[tuple[str, str]]:
    """Code, versions and class of machine, of what `abm.lab.provenance.environment` has noted. code: hash of the sources."""
    own, machine = described["code"], described["platform"]
    commit = f", commit {str(own['commit'])[:12]}{' with changes' if own['changed'] else ''}" if "commit" in own else ""
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items() if version)
    return [
        ("code", f"sources {code}{commit}"),
        ("versions", versions),
        ("machine", f"{machine['system']} {machine['machine']}, {machine['python']}, {machine['processors']} processors"),
    ]
