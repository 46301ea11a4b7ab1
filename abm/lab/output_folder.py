"""A folder that is either written completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from abm.lab.errors import InputError
from abm.lab.folder_lock import abandoned, marked_in_use


@contextmanager
def new_folder(folder: str | Path, *, overwrite: bool, foreign: Callable[[Path], str]) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its place when the block ends well and vanishes when it does not.

    folder: must not exist, be empty, or with `overwrite` hold nothing that `foreign` objects to. foreign: says in words what a
    folder holds that is not ours to remove; an empty string when all of it is. Interrupted at any moment, `folder` is as it was
    before or complete.

    Raises InputError, before anything is written, when `folder` may not be replaced or cannot be written.
    """
    target = Path(folder)
    absolute = target.resolve()
    clear_abandoned(absolute)
    _refuse(target, overwrite, foreign)
    made = _make_parents(target, absolute)
    partial = absolute.parent / f".{absolute.name}.{os.getpid()}.partial"
    try:
        try:
            partial.mkdir()
        except OSError as error:
            raise InputError(f"{target}: cannot be written ({error.strerror}), expected a folder that may be made") from error
        with marked_in_use(partial):
            yield partial
        _put_in_place(partial, absolute)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made:
            _remove_if_empty(parent)
        raise


def _refuse(target: Path, overwrite: bool, foreign: Callable[[Path], str]) -> None:
    try:
        if not target.exists():
            return
        if not target.is_dir():
            raise InputError(f"{target}: is a file, expected the name of a folder to write")
        if not any(target.iterdir()):
            return
        if not overwrite:
            raise InputError(f"{target}: exists already; choose another folder, or overwrite it")
        if why := foreign(target):
            raise InputError(f"{target}: is not replaced: {why}; choose another folder")
    except OSError as error:
        raise InputError(f"{target}: cannot be read ({error.strerror}), expected the name of a folder to write") from error


def _make_parents(target: Path, absolute: Path) -> list[Path]:
    """Makes the folders above; returns those that were missing, the innermost first."""
    missing = [parent for parent in absolute.parents if not parent.exists()]
    try:
        absolute.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        for parent in missing:
            _remove_if_empty(parent)
        raise InputError(f"{target}: cannot be written ({error.strerror}), expected a folder that may be made") from error
    return missing


def _put_in_place(partial: Path, target: Path) -> None:
    if not target.exists():
        os.replace(partial, target)
        return
    replaced = target.parent / f".{target.name}.{os.getpid()}.replaced"
    os.replace(target, replaced)
    try:
        os.replace(partial, target)
    except BaseException:
        os.replace(replaced, target)
        raise
    shutil.rmtree(replaced)


def clear_abandoned(target: Path) -> None:
    """Removes what a killed writer of `target` left behind. Had it moved the old folder aside already, that one comes back."""
    for left in sorted(target.parent.glob(f".{target.name}.*.partial")):
        if abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    for left in sorted(target.parent.glob(f".{target.name}.*.replaced")):
        if abandoned(left) and not target.exists():
            os.replace(left, target)
        elif abandoned(left):
            shutil.rmtree(left, ignore_errors=True)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # somebody else's files are in it, or it was never made
