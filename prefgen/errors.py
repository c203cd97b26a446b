"""Every complaint a user can meet, and the exit code that goes with it.

PrefgenError
├── SpecError        2   a YAML file, a flag or an input table is not right
├── EngineError      3   the model endpoint cannot be used
├── FileError        4   a file, a folder or the Hub cannot be read or written
├── GateError        5   the data was made and does not reach the quality asked for
└── NotFinished     75   stopped on purpose; the same command continues
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class PrefgenError(Exception):
    """Something the user can correct. `problem` says what is wrong, `fix` what to do about it."""

    exit_code = 1

    def __init__(self, problem: str, *, fix: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        problem = printable(self.problem)
        return problem if self.fix is None else f"{problem}\n  fix: {printable(self.fix)}"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong at one place of one file.

    path    the file, or the flag of the command line
    line    1-based; 0 for a flag
    key     dotted, '' for the whole file
    """

    path: str
    line: int
    key: str
    problem: str
    fix: str

    def __str__(self) -> str:
        place = (f"{self.path}:{self.line}: " if self.line else f"{self.path}: ") + (
            f"{self.key}: " if self.key else ""
        )
        return f"{printable(place + self.problem)}\n  fix: {printable(self.fix)}"


class SpecError(PrefgenError):
    """A YAML file, a flag or an input table is not right; nothing was asked and nothing written."""

    exit_code = 2

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = complaints


class UsageError(PrefgenError):
    """A command line that cannot be obeyed."""

    exit_code = 2


class EngineError(PrefgenError):
    """The model endpoint cannot be used: wrong key, nobody there, model unknown, weights missing."""

    exit_code = 3


class FileError(PrefgenError):
    """A file, a folder or the Hub cannot be read or written."""

    exit_code = 4


class GateError(PrefgenError):
    """The data was made and is kept, but does not reach the quality that the pipeline asks for."""

    exit_code = 5


class NotFinished(PrefgenError):  # noqa: N818 - not an error: a stop on purpose
    """Stopped on purpose (budget reached, batch waiting, another run holds the folder); run it again."""

    exit_code = 75


def first_words(error: BaseException) -> str:
    """The first line of what a library says of an error, 200 characters at most; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def problem_and_fix(error: BaseException | str) -> tuple[str, str]:
    """What a ValueError says, and the `fix:` on its second line; '' where it has none.

    >>> problem_and_fix(ValueError("no such side\\nfix: name another"))
    ('no such side', 'name another')
    """
    problem, _, fix = str(error).partition("\nfix: ")
    return problem, fix


def printable(text: str) -> str:
    """Text whose control characters are written out: a name or a reply must not move the cursor or change colours.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in text)


def one_of(wrong: object, allowed: Iterable[str]) -> str:
    """A sentence that names the allowed values, the closest first.

    >>> one_of("logprob", ["text", "logprobs"])
    "one of 'logprobs', 'text'"
    """
    names = sorted(set(allowed))
    close = difflib.get_close_matches(str(wrong), names, n=3, cutoff=0.5)
    ordered = close + [name for name in names if name not in close]
    shown = ", ".join(repr(name) for name in ordered[:12])
    return f"one of {shown}" + (f" (and {len(ordered) - 12} more)" if len(ordered) > 12 else "")
