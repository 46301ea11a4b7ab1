"""Which classes a `kind = "..."` of an experiment file can name: concrete subclasses, built in or the user's own."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterable

from abm.lab.errors import InputError, nearest
from abm.parameters import Parameters

BUILT_IN = ("abm.distributions", "abm.mechanisms", "abm.worlds", "abm.agents")
PATH_HINT = 'an import path such as "my_module:MyClass"'


def kinds(family: type[Parameters]) -> dict[str, type[Parameters]]:
    """Concrete subclasses of `family` by the name that `kind` gives them, in alphabetical order.

    Classes of this package go by their own name. So do classes that a program has defined before it loads a file, unless
    the name is taken already; then only their import path names them.
    """
    _import_built_in()
    found = {(cls.__module__, cls.__qualname__): cls for cls in _subclasses(family)}
    ours_first = sorted(found.values(), key=lambda cls: (not _is_ours(cls), cls.__name__))
    named: dict[str, type[Parameters]] = {}
    for cls in ours_first:
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            named.setdefault(cls.__name__, cls)
    return dict(sorted(named.items()))


def kind_name(cls: type[Parameters]) -> str:
    """What `kind` must say for another process to find `cls`: its name, or module:name when it is not part of this package."""
    if _is_ours(cls) or cls.__module__ == "__main__":
        return cls.__name__
    return f"{cls.__module__}:{cls.__qualname__}"


def has_kind(cls: type) -> bool:
    """Whether `cls` is one variant of an abstract class, so that a table must say which."""
    return any(inspect.isabstract(base) for base in cls.__mro__[1:])


def find_kind(family: type[Parameters], name: str, instead: dict[str, type[Parameters]]) -> type[Parameters]:
    """The variant of `family` that `name` names, looked up in `instead` first.

    Raises InputError, its message without the place in the file: the name is unknown, cannot be imported, or is not a
    variant of `family`.
    """
    if ":" in name:
        return _imported(family, name)
    known = {**kinds(family), **instead}
    if name in known:
        return known[name]
    guess = nearest(name, known) or f"expected {listed(known)}, or {PATH_HINT}"
    raise InputError(f"unknown kind {name!r} of {family.__name__}; {guess}")


def listed(names: Iterable[str]) -> str:
    """Names as prose: a, b or c."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else str(last)


def _imported(family: type[Parameters], path: str) -> type[Parameters]:
    module_name, _, class_name = path.partition(":")
    try:
        found: object = importlib.import_module(module_name)
        for part in class_name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise InputError(f"cannot import {path!r}: there is no module {error.name!r}") from error
    except AttributeError as error:
        guess = nearest(class_name, vars(importlib.import_module(module_name)))
        raise InputError(f"cannot import {path!r}: module {module_name!r} has no {class_name!r}; {guess}") from error
    except Exception as error:
        raise InputError(f"cannot import {path!r}: {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, family) and dataclasses.is_dataclass(found)):
        raise InputError(f"{path!r} is not a dataclass below {family.__module__}.{family.__name__}")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise InputError(f"{path!r} is abstract: it lacks {missing}")
    return found


def _subclasses(family: type[Parameters]) -> list[type[Parameters]]:
    return [family, *(cls for child in family.__subclasses__() for cls in _subclasses(child))]


def _is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] == __name__.split(".")[0]


@functools.cache
def _import_built_in() -> None:
    for name in BUILT_IN:
        module = importlib.import_module(name)
        for inner in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
            importlib.import_module(inner.name)
