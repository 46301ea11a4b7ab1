"""What a stranger who clones the repository relies on: nothing in it points at one machine, and the facts agree."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Each folder name is written with one letter in brackets, so that these lines do not match themselves.
MACHINE_PATHS = [
    r"/w[o]rk/",
    r"/f[a]rm/",
    r"/r[o]ot/",
    r"/h[o]me/[a-z]",
    r"/U[s]ers/[A-Za-z]",
    r"/t[m]p/[a-z]",
    r"/o[p]t/[a-z]",
    r"[A-Z]:\\[U]sers\\",
]
INDEX_ADDRESSES = [
    r"--?(?:extra-)?[i]ndex-url",
    r"--find-[l]inks",
    r"p[y]pi\.org/simple",
    r"files\.p[y]thonhosted",
    r"(?:PIP|UV)_(?:EXTRA_|DEFAULT_)?[I]NDEX",
]
# A match may not start inside a word: an address on the web may well have a folder of such a name.
MACHINE_PATH = re.compile(rf"(?<![\w.+-])(?:{'|'.join(MACHINE_PATHS)})")
INDEX_ADDRESS = re.compile(rf"(?<![\w-])(?:{'|'.join(INDEX_ADDRESSES)})")
MARKDOWN_LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_files() -> dict[str, str]:
    """Path and content of every text file that is tracked by git or would be with `git add --all`."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY,
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout, so there is no list of tracked files: {error}")
    contents = {}
    for name in listing.stdout.decode().split("\0"):
        path = REPOSITORY / name
        if name and path.is_file():
            data = path.read_bytes()
            if b"\0" not in data:
                contents[name] = data.decode("utf-8")
    assert {"pyproject.toml", "Makefile", "tests/docs/test_repository.py"} <= contents.keys()
    return contents


def matches(pattern: re.Pattern[str], contents: dict[str, str]) -> list[str]:
    """`path:line: text` of each line that `pattern` is found in."""
    return [
        f"{name}:{number}: {line[:120]}"
        for name, text in contents.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "see /" + "root/notes.txt"),
        (MACHINE_PATH, 'open("/' + 'tmp/prices.csv")'),
        (MACHINE_PATH, "(/" + "home/ada/abm)"),
        (INDEX_ADDRESS, "--index" + "-url https://packages.example/simple"),
        (INDEX_ADDRESS, "https://py" + "pi.org/simple"),
    ],
)
def test_the_patterns_match_what_they_are_for(pattern, line):
    assert pattern.search(line)
    assert not pattern.search(line.replace("/", "").replace("-", ""))


def test_no_file_names_a_path_of_one_machine():
    assert not matches(MACHINE_PATH, text_files())


def test_no_file_names_a_package_index():
    assert not matches(INDEX_ADDRESS, text_files())


def test_constraints_are_plain_pins_of_every_package_that_the_project_names():
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([a-z0-9][a-z0-9-]*)==[\w.]+( ; [\w<>=!'. ]+)?", line) for line in lines]
    assert all(pins), [line for line, pin in zip(lines, pins, strict=True) if not pin]
    pinned = {pin[1] for pin in pins if pin}
    extras = PROJECT["optional-dependencies"]
    for requirement in PROJECT["dependencies"] + extras["test"] + extras["lint"] + extras["benchmark"]:
        assert re.split(r"[<>=!~ ]", requirement)[0] in pinned


def test_citation_changelog_and_package_state_the_same_version():
    version = PROJECT["version"]
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+?)\]", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_readme_names_both_commands_and_they_exist():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert re.search(rf"^[ $]*make {target}\b|`make {target}`", readme, re.MULTILINE)
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_links_between_documents_lead_somewhere():
    broken = [
        f"{name}: {link}"
        for name, text in text_files().items()
        if name.endswith(".md")
        for link in MARKDOWN_LINK.findall(text)
        if not re.match(r"[a-z]+:|#", link) and not (REPOSITORY / name).parent.joinpath(link.split("#")[0]).exists()
    ]
    assert not broken
