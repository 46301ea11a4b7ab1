"""Bad input, told to the user in plain lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used: an unknown name, a wrong value, an unreadable or inconsistent file.

    Holds one or more `messages` of one line each; ``str`` joins them with newlines. The command line prints them and
    ends with `exit_code`. Each message names the key or file, the value, what was expected and, for names, the nearest
    valid one (`nearest`).
    """

    exit_code = 2

    def __init__(self, *messages: str) -> None:
        if not messages:
            raise TypeError("InputError needs at least one message")
        self.messages: tuple[str, ...] = tuple(" ".join(message.split()) for message in messages)
        super().__init__("\n".join(self.messages))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, ...]]:
        return type(self), self.messages  # pickled between worker processes without losing the list of messages


def nearest(name: str, candidates: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the candidate most like `name`, case ignored; an empty string when none is close."""
    by_lowered: dict[str, str] = {}
    for candidate in candidates:
        by_lowered.setdefault(candidate.lower(), candidate)
    matches = difflib.get_close_matches(name.lower(), by_lowered, n=1, cutoff=0.6)
    return f"did you mean {by_lowered[matches[0]]!r}?" if matches else ""
