"""What the documents say is run or looked up: code blocks, experiment files, commands, names, links between text and code.

Python blocks of a document run in order in one namespace, in a process of their own; a block marked `file=NAME` is written
to that file first, where the other blocks and the experiment files can import it. TOML blocks are whole experiments, or
parts that are merged into a small one.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
DOCUMENTS = [path for path in [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("venues/*.md"))] if path.exists()]
FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")

SMALL = """
[run]
seconds = 600
[venue]
preset = "dydx_v4"
[world]
kind = "Diffusion"
[population.makers]
kind = "LiquidityProviders"
members = 5
"""

# Loads the TOML files of folders: whole experiments and those that extend a file as they are, parts merged into the small one.
LOAD_ALL = f"""
import sys, tomllib
from pathlib import Path
from abm.lab.config import load, read_experiment
from abm.lab.merging import merged
small = tomllib.loads({SMALL!r})
for path in sorted(path for folder in sys.argv[1:] for path in Path(folder).glob("block-*.toml")):
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if "extends" in table:
        load(path).model()
        continue
    whole = "world" in table and "population" in table
    name = f"{{path.parent.name}} {{path.stem}}"
    read_experiment(table if whole else merged(small, table), source=name, folder=path.parent).model()
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a document: its language, what follows it on the opening line, its text and first line number."""

    language: str
    info: str
    text: str
    line: int

    @property
    def file(self) -> str:
        found = re.search(r"file=(\S+)", self.info)
        return found[1] if found else ""


def blocks_of(path: Path, *languages: str) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = [Block(match[1] or "", match[2], match[3], text.count("\n", 0, match.start(3)) + 1) for match in FENCE.finditer(text)]
    return [block for block in found if not languages or block.language in languages]


def with_blocks(*languages: str) -> list[pytest.ParameterSet]:
    return [pytest.param(path, id=path.name) for path in DOCUMENTS if blocks_of(path, *languages)]


def run_python(folder: Path, *arguments: str) -> None:
    """Runs Python in `folder` with this repository and that folder importable."""
    path = f"import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(folder)!r}]\n"
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", path + arguments[0], *arguments[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def write_files(path: Path, folder: Path) -> None:
    for block in blocks_of(path):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")


@pytest.mark.docs
@pytest.mark.parametrize("path", with_blocks("python"))
def test_python_blocks_run(path, tmp_path):
    write_files(path, tmp_path)
    script = ""
    for block in blocks_of(path, "python"):
        if not block.file:
            # A traceback then names the line of the document.
            script += "\n" * (block.line - 1 - script.count("\n")) + block.text
    (tmp_path / f"{path.stem}_blocks.py").write_text(script, encoding="utf-8")
    (tmp_path / "experiments").symlink_to(REPOSITORY / "experiments")
    run_python(tmp_path, f"import runpy; runpy.run_path({path.stem + '_blocks.py'!r}, run_name='__main__')")


@pytest.mark.docs
def test_toml_blocks_are_valid_experiments(tmp_path):
    folders = []
    for path in DOCUMENTS:
        blocks = blocks_of(path, "toml")
        if blocks:
            folder = tmp_path / path.name
            folder.mkdir()
            (folder / "experiments").symlink_to(REPOSITORY / "experiments")
            write_files(path, folder)
            for block in blocks:
                (folder / f"block-{block.line:04}.toml").write_text(block.text, encoding="utf-8")
            folders.append(str(folder))
    assert len(folders) > 2
    run_python(tmp_path, LOAD_ALL, *folders)


def command_lines(path: Path) -> list[tuple[int, str]]:
    """Line number and text of each command in the shell blocks of a document."""
    return [
        (block.line + offset, line.removeprefix("$ ").split("  #")[0].strip())
        for block in blocks_of(path, "bash", "sh", "console", "shell")
        for offset, line in enumerate(block.text.splitlines())
        if line.strip() and not line.lstrip().startswith("#")
    ]


@pytest.mark.docs
@pytest.mark.parametrize("path", with_blocks("bash", "sh", "console", "shell"))
def test_commands_exist_and_take_these_arguments(path):
    from abm.lab.cli import abm

    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line, text in command_lines(path):
        words = shlex.split(text)
        if words[0].endswith("abm"):
            command, arguments, context = abm, words[1:], click.Context(abm, info_name="abm")
            while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
                name, command, arguments = command.resolve_command(context, arguments)
                assert command is not None, f"{path.name}:{line}: {name}"
            try:
                command.make_context(command.name, list(arguments), parent=context)
            except click.exceptions.Exit:
                pass  # --help and --version end here
            except click.ClickException as error:
                pytest.fail(f"{path.name}:{line}: {text}: {error.format_message()}")
        elif words[0] == "make":
            wrong = [word for word in words[1:] if "=" not in word and word not in targets]
            assert not wrong, f"{path.name}:{line}: {text}"


@pytest.mark.docs
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_names_in_text_exist(path):
    """`abm.something.Name` can be imported, and `folder/file.py` is there."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    missing = []
    for code in INLINE_CODE.findall(text):
        if re.fullmatch(r"abm(\.\w+)+", code):
            missing += [code] if not resolves(code) else []
        elif re.fullmatch(r"(abm|tests|examples|experiments|notebooks|benchmarks|docs)/[\w/.-]+\.(py|toml|md|ipynb)", code):
            missing += [code] if not (REPOSITORY / code).exists() else []
    assert not missing


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def steps_of_the_model() -> list[str]:
    """Names of the methods that `PerpModel.step` calls on itself, in order."""
    tree = ast.parse((REPOSITORY / "abm" / "model.py").read_text(encoding="utf-8"))
    model = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "PerpModel")
    step = next(node for node in model.body if isinstance(node, ast.FunctionDef) and node.name == "step")
    calls = [node.value for node in step.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return [
        call.func.attr
        for call in calls
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == "self"
    ]


def test_the_block_is_documented_in_its_order():
    steps = steps_of_the_model()
    assert steps[0] == "move_world"
    assert steps[-1] == "record"
    text = (DOCS / "the-block.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (\d+)\. `(\w+)`$", text, re.MULTILINE)
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)
    expected = [(str(number), name) for number, name in enumerate(steps, start=1)]
    assert headings == expected
    assert rows == expected


def test_every_step_says_what_it_reads_and_writes():
    text = (DOCS / "the-block.md").read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", text, flags=re.MULTILINE)
    for name in steps_of_the_model():
        section = next(section for section in sections if re.match(rf"\d+\. `{name}`", section))
        assert re.search(r"^- reads: ", section, re.MULTILINE), name
        assert re.search(r"^- writes: ", section, re.MULTILINE), name


def test_fields_named_in_the_block_are_fields_of_their_table():
    from abm import state as tables

    text = (DOCS / "the-block.md").read_text(encoding="utf-8")
    dtypes = {
        "markets": tables.MARKET,
        "accounts": tables.ACCOUNT,
        "positions": tables.POSITION,
        "venue": tables.VENUE,
        "funds": tables.FUND,
    }
    named = re.findall(r"`(\w+)` \(((?:`\w+`[,\s]*)+)\)", text)
    named += [(table, f"`{field}`") for table, field in re.findall(r"`(\w+)\.(\w+)`", text)]
    checked = 0
    for table, fields in named:
        if table in dtypes:
            unknown = set(re.findall(r"`(\w+)`", fields)) - set(dtypes[table].names or ())
            assert not unknown, table
            checked += 1
    assert checked > 8


def test_every_seam_of_a_venue_is_listed():
    from abm.mechanisms.rule import Rule
    from abm.mechanisms.venue import Venue

    text = (DOCS / "write-a-rule.md").read_text(encoding="utf-8")
    section = text.split("## The seams", 1)[1].split("\n## ", 1)[0]
    bullets = re.findall(r"^- `abm\.(\w+)`", section, re.MULTILINE)
    hints = {field.name: str(field.type) for field in dataclasses.fields(Venue)}
    families = {cls.__name__ for cls in Rule.__subclasses__()}
    expected = [name for hint in hints.values() for name in families if name in re.findall(r"\w+", hint)]
    assert len(expected) > 8
    assert set(expected) <= set(bullets)
    assert len(bullets) == len(set(bullets))


def test_every_archetype_and_every_rule_is_in_the_protocol():
    from abm.agents.base import Strategy
    from abm.lab.kinds import kinds
    from abm.mechanisms.rule import Rule

    text = (DOCS / "odd.md").read_text(encoding="utf-8")
    families = [Strategy, *(family for family in Rule.__subclasses__() if family.__module__.startswith("abm."))]
    built_in = [name for family in families for name, cls in kinds(family).items() if cls.__module__.startswith("abm.")]
    assert len(built_in) > 20
    missing = [name for name in built_in if f"`{name}`" not in text]
    assert not missing


def glossary() -> dict[str, str]:
    """Term to line, in the order of the document."""
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^- \*\*(.+?)\*\* – (.+?)(?=^- \*\*|\Z|^#)", text, re.MULTILINE | re.DOTALL))


def test_the_glossary_is_sorted_and_has_no_term_twice():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^- \*\*(.+?)\*\*", text, re.MULTILINE)
    keys = [re.sub(r"[^a-z ]", "", term.lower()) for term in terms]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert len(terms) == len(glossary())


def test_the_glossary_knows_the_rules_the_archetypes_and_the_ways_an_order_ends():
    from abm.agents.base import Strategy
    from abm.lab.kinds import kinds
    from abm.state import REASONS

    known = (DOCS / "glossary.md").read_text(encoding="utf-8").lower()
    archetypes = [name for name, cls in kinds(Strategy).items() if cls.__module__.startswith("abm.")]
    words = [re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower().removesuffix("s") for name in archetypes]
    missing = [word for word in words if word not in known]
    missing += [reason for reason in REASONS if f"`{reason}`" not in known]
    assert not missing


def test_the_key_tables_are_fresh():
    """`python docs/key_tables.py` writes them anew."""
    namespace: dict[str, object] = {"__name__": "key_tables", "__file__": str(DOCS / "key_tables.py")}
    exec(compile((DOCS / "key_tables.py").read_text(encoding="utf-8"), "key_tables.py", "exec"), namespace)
    text = (DOCS / "experiment-file.md").read_text(encoding="utf-8")
    fresh = namespace["with_fresh_tables"]
    assert callable(fresh)
    assert fresh(text) == text, "run: python docs/key_tables.py"


def test_every_document_is_reached_from_the_index():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", index)}
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"index.md"} <= linked


def test_anchors_lead_to_headings():
    broken = []
    for path in DOCUMENTS:
        for target, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", path.read_text(encoding="utf-8")):
            other = (path.parent / target) if target else path
            if other.suffix == ".md" and anchor not in anchors(other):
                broken.append(f"{path.name}: {target}#{anchor}")
    assert not broken


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_small_experiment_is_one():
    from abm.lab.config import read_experiment

    assert read_experiment(tomllib.loads(SMALL)).blocks == 600
