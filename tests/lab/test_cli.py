"""The command line: what it prints, its exit codes, and one clear line on stderr for everything that is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from abm.lab.cli import exit_code
from abm.lab.config import Experiment, load
from abm.lab.errors import InputError
from abm.lab.plain import plain
from abm.mechanisms.presets import PRESETS
from abm.parameters import ParameterError

HEAVY = {"matplotlib", "mesa", "numba", "numpy", "pandas", "polars", "pydantic", "rich", "scipy", "seaborn"}
CODE_LINE = re.compile(r"^#(?! \S)")  # of a starter file: a key behind a # without a blank


@dataclass
class Outcome:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        """Lines on stderr of a command that must have refused its input and printed nothing else."""
        assert self.code == 2
        assert "Traceback" not in self.err
        return self.err.splitlines()


@pytest.fixture
def abm(capsys, monkeypatch, tmp_path):
    """Calls the command line from a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        code = exit_code([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@dataclass
class Runs:
    """Stands in for the part that runs experiments: notes what it is asked for, and does `then`."""

    asked: list[tuple[Experiment, Path, dict[str, Any]]] = field(default_factory=list)
    then: BaseException | None = None

    def run_experiment(self, experiment: Experiment, folder: Path, **options: Any) -> Runs:
        self.asked.append((experiment, folder, options))
        if self.then is not None:
            raise self.then
        return self

    def render(self) -> list[str]:
        return ["nobody was liquidated", "report: here"]


@pytest.fixture
def runs(monkeypatch):
    module = types.ModuleType("abm.lab.run")
    stand_in = Runs()
    module.run_experiment = stand_in.run_experiment
    monkeypatch.setitem(sys.modules, "abm.lab.run", module)
    return stand_in


@pytest.fixture
def file(abm, tmp_path):
    """A starter file."""
    assert abm("new", "crash.toml").code == 0
    return tmp_path / "crash.toml"


# Help, version, misspellings


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_the_commands(abm, arguments):
    outcome = abm(*arguments)
    assert outcome.code == 0
    assert re.findall(r"^  (\w+) ", outcome.out.partition("Commands:")[2], re.MULTILINE) == [
        "compare", "data", "new", "outcomes", "plan", "presets", "report", "run", "schema", "sensitivity", "sweep", "threshold",
        "validate", "worst",
    ]  # fmt: skip


def test_help_waits_for_nothing_heavy():
    command = f"import sys, abm.lab.cli; print(sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_version(abm):
    assert re.fullmatch(r"abm(, not installed| \d+\.\d+\.\d+\S*)\n", abm("--version").out)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rn"], "abm: unknown command 'rn'; did you mean 'run'?"),
        (["valdate", "x"], "abm: unknown command 'valdate'; did you mean 'validate'?"),
        (["zzz"], "abm: unknown command 'zzz'; expected compare, data, new, outcomes, plan, presets, report, run, schema, "),
        (["data", "fetsh"], "abm data: unknown command 'fetsh'; did you mean 'fetch'?"),
        (["run", "x", "--sede", "3"], "abm run: unknown option --sede; did you mean '--seed'?"),
        (["run", "x", "--overwrit"], "abm run: unknown option --overwrit; did you mean '--overwrite'?"),
        (["run", "x", "--qqqqqq"], "abm run: unknown option --qqqqqq (see abm run --help)"),
        (["run"], "abm run: Missing argument 'FILE'."),
        (["run", "x", "--seed", "abc"], "abm run: Invalid value for '--seed': 'abc' is not a valid integer range."),
        (["run", "x", "--seed", "-1"], "abm run: Invalid value for '--seed': -1 is not in the range x>=0."),
        (["new", "x", "--world", "moon"], "abm new: Invalid value for '--world': 'moon' is not one of"),
    ],
)
def test_misspelt_commands_and_options(abm, arguments, line):
    (found,) = abm(*arguments).problems
    assert found.startswith(line)


# run


def test_run_hands_over_the_experiment(abm, runs, file):
    outcome = abm("run", file)
    assert (outcome.code, outcome.out, outcome.err) == (0, "nobody was liquidated\nreport: here\n", "")
    ((experiment, folder, options),) = runs.asked
    assert experiment == load(file)
    assert folder == Path("runs/crash")
    assert options == {"overwrite": False, "check": False, "report": True, "progress": None}


def test_run_options(abm, runs, file):
    outcome = abm(
        "run", file, "--seed", 9, "--out", "there", "--overwrite", "--check", "--quiet", "--no-report",
        "--set", "run.seconds=60", "--set", "run.seed=3", "--set", "world.crashes.0.start=5",
    )  # fmt: skip
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    ((experiment, folder, options),) = runs.asked
    assert experiment.run.seed == 9
    assert experiment.run.check is True
    assert experiment.blocks == 60
    assert experiment.world.crashes[0].start == 5.0
    assert folder == Path("there")
    assert options == {"overwrite": True, "check": True, "report": False, "progress": None}


def test_run_shows_progress_on_a_terminal(abm, runs, file, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert abm("run", file, "--quiet").code == 0
    assert abm("run", file).code == 0
    assert runs.asked[0][2]["progress"] is None
    assert callable(runs.asked[1][2]["progress"])


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_mistyped_key_is_one_line_and_nothing_runs(abm, runs, file, command):
    assert abm(command, file, "--set", "venue.oracle.lag_blok=3").problems == [
        f"{file}: venue.oracle.lag_blok: unknown key; did you mean 'lag_blocks'?"
    ]
    assert not runs.asked
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_every_problem_is_one_line(abm, runs, file):
    wrong = ["run.seed=x", "run.seconds=nan", "world.kind=Diffusoin", "venue.margin.lower_cap=-5"]
    found = abm("run", file, *(part for override in wrong for part in ("--set", override))).problems
    assert sorted(line.split(": ")[1] for line in found) == ["run.seconds", "run.seed", "venue.margin.lower_cap", "world.kind"]


def test_a_missing_and_a_broken_file(abm, runs, file):
    assert abm("run", "crsh.toml").problems == ["crsh.toml: no such file; did you mean 'crash.toml'?"]
    file.write_text("[run\n", encoding="utf-8")
    (line,) = abm("run", file).problems
    assert line.startswith(f"{file}: line 1, column 5: ")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError("there: exists already", "and is not empty"), 2, "there: exists already\nand is not empty\n"),
        (ParameterError(["Oracle.sources: 3 for 2", "b"]), 2, "Oracle.sources: 3 for 2\nb\n"),
        (PermissionError(13, "Permission denied", "/there"), 2, "/there: Permission denied\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
    ],
)
def test_what_goes_wrong_while_running_is_told_plainly(abm, runs, file, error, code, told):
    runs.then = error
    outcome = abm("run", file)
    assert (outcome.code, outcome.out, outcome.err) == (code, "", told)


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), OSError("no file in this one")])
def test_a_bug_keeps_its_traceback(abm, runs, file, error):
    runs.then = error
    outcome = abm("run", file)
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback")
    assert str(error) in outcome.err
    assert outcome.err.splitlines()[-1].startswith("this should not have happened")


# validate


def test_validate_says_what_would_run(abm, file):
    outcome = abm("validate", file)
    assert outcome.code == 0
    assert re.fullmatch(
        rf"{re.escape(str(file))}: valid: 3 markets, [\d,]+ traders in \d+ groups, 86,400 blocks, seed 1, identity \w{{32}}\n",
        outcome.out,
    )


def test_validate_looks_at_every_file(abm, file, tmp_path):
    (tmp_path / "bad.toml").write_text("x = 1\n[run]\nseed = -1\n", encoding="utf-8")
    outcome = abm("validate", "bad.toml", file, "none.toml")
    assert f"{file}: valid" in outcome.out
    assert [line.partition(": ")[0] for line in outcome.problems] == ["bad.toml"] * 5 + ["none.toml"]


def test_validate_builds_the_model(abm, file):
    """What only shows when rules and markets meet is told too."""
    (line,) = abm("validate", file, "--set", "venue.margin.initial_margin_fraction=[0.1,0.2]").problems
    assert line.startswith(f"{file}: ")
    assert "2 values for 3 markets" in line


# new


@pytest.mark.parametrize("world", ["diffusion", "replay"])
def test_a_starter_file_says_and_means_the_same(abm, tmp_path, world, monkeypatch):
    """Each key that is shown as a comment shows its default: uncommenting all of them changes nothing."""
    write_bars(tmp_path / "bars.parquet")
    assert abm("new", "first.toml", "--world", world).code == 0
    text = (tmp_path / "first.toml").read_text(encoding="utf-8").replace('bars = "bars"', 'bars = "bars.parquet"')
    (tmp_path / "first.toml").write_text(text, encoding="utf-8")
    assert abm("validate", "first.toml").code == 0
    (tmp_path / "all").mkdir()
    uncommented = "\n".join(CODE_LINE.sub("", line) for line in text.splitlines())
    assert len(tomllib.loads(uncommented)["venue"]) > 10
    (tmp_path / "all" / "first.toml").write_text(uncommented, encoding="utf-8")
    assert load(tmp_path / "all" / "first.toml") == load(tmp_path / "first.toml")


def write_bars(path: Path) -> None:
    """A day of three symbols that do not move."""
    minutes = pl.datetime_range(pl.datetime(2022, 11, 8), pl.datetime(2022, 11, 8, 23, 59), "1m", eager=True, time_zone="UTC")
    prices = {"BTCUSDT": 20_000.0, "ETHUSDT": 1_500.0, "SOLUSDT": 30.0}
    frames = [
        pl.DataFrame({"ts": minutes}).with_columns(
            pl.lit(symbol).alias("symbol"), *(pl.lit(price).alias(name) for name in ("open", "high", "low", "close", "volume"))
        )
        for symbol, price in prices.items()
    ]
    pl.concat(frames).write_parquet(path)


def test_new_leaves_a_file_alone_that_exists(abm, tmp_path):
    (tmp_path / "mine.toml").write_text("precious", encoding="utf-8")
    assert abm("new", "mine.toml").problems == ["mine.toml: exists already, expected the name of a new file"]
    assert (tmp_path / "mine.toml").read_text(encoding="utf-8") == "precious"


def test_new_in_a_folder_that_is_not_there(abm):
    assert abm("new", "nowhere/mine.toml").problems == ["nowhere/mine.toml: No such file or directory"]


# presets, schema, report


def test_presets_are_listed_and_printed(abm):
    assert [line.split()[0] for line in abm("presets").out.splitlines()] == list(PRESETS)
    for name, make in PRESETS.items():
        assert tomllib.loads(abm("presets", name).out) == {"venue": plain(make())}


def test_an_unknown_preset(abm):
    assert abm("presets", "dydx_v5").problems == ["unknown preset 'dydx_v5'; did you mean 'dydx_v4'?"]


def test_schema_is_json(abm):
    schema = json.loads(abm("schema").out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert {"run", "record", "venue", "world", "spot", "gas", "population"} <= schema["properties"].keys()
    assert set(schema["$defs"]["Venue"]["properties"]["preset"]["enum"]) == set(PRESETS)


def test_the_schema_agrees_with_the_loader(abm, file):
    """An editor is content with a starter file, and complains where the loader does."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(abm("schema").out)
    validator = jsonschema.Draft202012Validator(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    assert not list(validator.iter_errors(table))
    for wrong in (
        {"run": {"seed": "x"}},
        {"run": {"seconds": -1}},
        {"runn": {}},
        {"venue": {"preset": "x"}},
        {"venue": {"oracle": 3}},
    ):
        assert list(validator.iter_errors({**table, **wrong})), wrong


def test_report_writes_again(abm, monkeypatch):
    module = types.ModuleType("abm.lab.report")
    module.write_report = lambda folder: folder / "report.html"
    monkeypatch.setitem(sys.modules, "abm.lab.report", module)
    assert abm("report", "runs/crash").out == "report: runs/crash/report.html\n"


# data


def test_data_check_counts(abm, tmp_path):
    write_bars(tmp_path / "bars.parquet")
    sound = abm("data", "check", "bars.parquet")
    assert sound.code == 0
    assert "1,440" in sound.out
    assert sound.out.splitlines()[-1] == "bars.parquet: sound"
    pl.read_parquet("bars.parquet").filter(pl.col("ts").dt.minute() != 7).write_parquet("gaps.parquet")
    unsound = abm("data", "check", "gaps.parquet", "bars.parquet")
    assert unsound.problems == ["gaps.parquet: not usable as it is: defects in BTCUSDT, ETHUSDT, SOLUSDT"]
    assert "bars.parquet: sound" in unsound.out


def test_data_check_of_no_bars(abm, tmp_path):
    pl.DataFrame({"ts": [1], "close": [2.0]}).write_parquet(tmp_path / "other.parquet")
    found = abm("data", "check", "other.parquet", "missing.parquet").problems
    assert len(found) >= 2
    assert all(line.startswith(("other.parquet: ", "missing.parquet: ")) for line in found)


def test_data_fetch_refuses_bad_words(abm, tmp_path):
    (line,) = abm("data", "fetch", "BTCUSDT", "--from", "yesterday", "--to", "2022-11-09", "--folder", "bars").problems
    assert "yesterday" in line


def test_data_fetch_passes_everything_on(abm, monkeypatch, tmp_path):
    asked: list[tuple[Any, ...]] = []

    def fetch_klines(symbols, start, end, folder, *, base_url, market, progress):
        asked.append((symbols, start, end, folder, base_url, market))
        progress(types.SimpleNamespace(done=1, total=2, file="a.zip", downloaded=True))
        progress(types.SimpleNamespace(done=2, total=2, file="b.zip", downloaded=False))
        return types.SimpleNamespace(files=("a.zip", "b.zip"), downloaded=1, downloaded_bytes=2_500_000)

    monkeypatch.setattr("abm.lab.fetch.fetch_klines", fetch_klines)
    outcome = abm(
        "data", "fetch", "BTCUSDT", "ETHUSDT", "--from", "2022-11-08", "--to", "2022-11-09", "--folder", "bars",
        "--market", "um", "--base-url", "http://localhost:1",
    )  # fmt: skip
    assert asked == [(("BTCUSDT", "ETHUSDT"), "2022-11-08", "2022-11-09", Path("bars"), "http://localhost:1", "um")]
    assert outcome.err.splitlines() == ["1/2 a.zip", "2/2 b.zip (was there)"]
    assert outcome.out == "2 files in bars, 1 of them downloaded (2.5 MB)\n"


def test_the_process_ends_with_the_exit_code(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "abm.lab.cli", "validate", "none.toml"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "none.toml: no such file\n")
