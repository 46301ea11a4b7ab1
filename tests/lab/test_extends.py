"""An experiment file over another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from abm.lab.config import load
from abm.lab.errors import InputError

BASE = """
title = "base"
[run]
seconds = 60
seed = 3
[venue]
preset = "dydx_v4"
insurance_fund = 5.0
[world]
kind = "Diffusion"
[[world.crashes]]
start = 10
[population.takers]
kind = "Takers"
members = 4
"""


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_what_the_file_says_replaces_what_the_base_says_and_the_rest_stays(tmp_path: Path) -> None:
    written(tmp_path, "base.toml", BASE)
    text = 'extends = "base.toml"\ntitle = "mine"\n[run]\nseconds = 120\n[venue.funding]\nkind = "NoFunding"\n'
    experiment = load(written(tmp_path, "mine.toml", text))
    assert (experiment.name, experiment.title) == ("mine", "mine")
    assert (experiment.run.seconds, experiment.run.seed) == (120, 3)
    assert experiment.venue.insurance_fund == 5.0
    assert type(experiment.venue.funding).__name__ == "NoFunding"
    assert len(experiment.world.crashes) == 1  # type: ignore[attr-defined]


def test_extending_without_a_change_is_the_same_experiment(tmp_path: Path) -> None:
    from abm.lab.config import digest

    base = load(written(tmp_path, "base.toml", BASE))
    assert digest(load(written(tmp_path, "same.toml", 'extends = "base.toml"\n'))) == digest(base)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "gone.toml"\n', "gone.toml"),
        ("extends = 3\n", "extends: 3 is not the name of an experiment file"),
        ('extends = "mine.toml"\n', "extends: goes in a circle through mine.toml"),
    ],
)
def test_a_wrong_base_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, "mine.toml", text))
    assert message in str(caught.value)
    assert len(caught.value.messages) == 1
