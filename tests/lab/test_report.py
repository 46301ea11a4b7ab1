"""The report: one page that is well formed, complete, safe with any text, and fetches nothing."""

from __future__ import annotations

import base64
import json
import re
import shutil
import struct
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from abm.lab.config import Experiment
from abm.lab.errors import InputError
from abm.lab.figures import FIGURES
from abm.lab.report import SECTIONS, write_report
from abm.lab.report_tables import table
from abm.lab.run import RunResult, run_experiment

EMPTY = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Tags, attributes, words, and what is wrong with the nesting."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def source(small_run: RunResult) -> str:
    assert small_run.report is not None
    return small_run.report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_page_is_well_formed_html_in_a_language(page: Page, source: str) -> None:
    assert source.startswith("<!DOCTYPE html>")
    assert page.all("html")[0]["lang"] == "en"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "$" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)  # no place of the template was left empty


def test_nothing_is_fetched(page: Page, source: str) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "background"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), f"<{tag} {name}={target[:60]}>"
    assert tag_free(page, "link", "iframe", "object", "embed", "base", "script")
    without_data = re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)
    assert "http:" not in without_data
    assert "https:" not in without_data
    assert "@import" not in without_data
    assert "url(" not in without_data
    policy = next(each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def tag_free(page: Page, *tags: str) -> bool:
    return not {tag for tag, _ in page.tags} & set(tags)


def test_every_figure_is_there_with_its_words(page: Page) -> None:
    assert [each["id"] for each in page.all("figure")] == [f"figure-{name}" for name in FIGURES]
    assert len(page.all("figcaption")) == len(FIGURES)
    for image in page.all("img"):
        kind, data = re.fullmatch(r"data:image/(svg\+xml|png);base64,(.+)", str(image["src"]), re.DOTALL).groups()  # type: ignore[union-attr]
        content = base64.b64decode(data, validate=True)
        if kind == "png":
            assert content.startswith(b"\x89PNG")
            assert struct.unpack(">II", content[16:24]) > (800, 200)
        else:
            assert b"</svg>" in content
            assert not re.search(rb'(?:href|src)="(?!#|data:)', content)
        assert image["alt"]


def test_figures_lie_beside_the_report_as_svg_and_png(small_folder: Path) -> None:
    expected = {f"{name}.{suffix}" for name in FIGURES for suffix in ("svg", "png")}
    assert {path.name for path in (small_folder / "figures").iterdir()} == expected


def test_links_lead_to_sections(page: Page) -> None:
    targets = {str(each.get("id")) for _, each in page.tags}
    links = [str(each["href"]).removeprefix("#") for each in page.all("a")]
    assert links == list(SECTIONS)
    assert set(links) <= targets


def test_page_says_what_happened_to_whom_and_how_to_repeat_it(page: Page, small_run: RunResult) -> None:
    summary = small_run.summary
    for expected in (
        "BTC fell 3",
        f"{summary.liquidations.accounts} accounts, {summary.liquidations.count} transactions",
        "takers",
        "providers",
        "On the venue, cohorts, fund and fees add up to zero.",
        "trading was never halted",
        "not tested",
        "MedianOracle",
        "PartialLiquidation",
        "Pareto: lowest 1000, exponent 1.2, highest 100,000",
        "abm run experiment.toml --out small-again",
        small_run.stored().provenance["identity"],
    ):
        assert expected in page.text, expected


def test_every_number_is_in_the_table_of_definitions(page: Page, small_run: RunResult) -> None:
    for name in small_run.summary.flat():
        assert f" {name} " in page.text


def test_text_of_the_user_is_escaped(page: Page, source: str) -> None:
    assert "A small <crash>" in page.text
    assert "Who pays & why?" in page.text
    assert "<crash>" not in source
    assert table(("<head>",), [("a", "b")], numbers_from=9).count("<head>") == 0


def test_report_is_written_again_from_the_folder(small_folder: Path, source: str, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small_folder, folder)
    (folder / "report.html").unlink()
    shutil.rmtree(folder / "figures")
    assert write_report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8") == source
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in small_folder.iterdir())


def test_report_of_a_run_in_which_nothing_happened(tmp_path: Path, make_experiment: Callable[..., Experiment]) -> None:
    result = run_experiment(make_experiment(seconds=40.0, crash=False), tmp_path / "calm")
    assert result.report is not None
    text = Page(result.report.read_text(encoding="utf-8")).text
    assert "nobody was liquidated" in text
    assert "There were none." in text


def test_report_of_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "provenance.json").write_text(json.dumps({"made_by": "somebody else"}), encoding="utf-8")
    with pytest.raises(InputError, match="holds no run"):
        write_report(tmp_path)


@pytest.mark.browser
def test_page_opens_offline_on_a_phone_and_fits_on_paper(small_folder: Path) -> None:
    """Nothing overflows sideways but the boxes made to scroll, no request is sent, nothing is logged as an error."""
    playwright = pytest.importorskip("playwright.sync_api")
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("no Chromium on this machine")
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=options)
        context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
        view = context.new_page()
        requests: list[str] = []
        errors: list[str] = []
        view.on("request", lambda request: requests.append(request.url))
        view.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        view.goto((small_folder / "report.html").as_uri())
        assert [each for each in requests if not each.startswith(("file:", "data:"))] == []
        assert errors == []
        assert view.evaluate("document.documentElement.scrollWidth") <= 390
        loaded = view.evaluate("[...document.images].every(each => each.complete && each.naturalWidth > 0)")
        assert loaded
        view.set_viewport_size({"width": 720, "height": 1000})  # a page of paper between its margins
        view.emulate_media(media="print")
        view.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert view.evaluate("document.documentElement.scrollWidth") <= 720
        browser.close()
