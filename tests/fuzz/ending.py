"""How a command ends over a damaged file: what it must never do, told in a word or two."""

from __future__ import annotations

import contextlib
import io
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from prefgen.cli import app
from prefgen.cli.ending import _code_of

SECONDS = 20


class Late(BaseException):
    """A command that took longer than anybody waits."""


@contextlib.contextmanager
def in_time(seconds: int = SECONDS) -> Iterator[None]:
    """Raise `Late` in what takes longer."""

    def late(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def wrong_with(*words: object, folder: Path | None = None, codes: tuple[int, ...] = (0, 2, 4)) -> str | None:
    """What a command does that it must not do over whatever its files hold; None where all is well.

    folder    where nothing may be written at exit 2
    """
    return wrong_in(lambda: app([*map(str, words)], standalone_mode=False), folder=folder, codes=codes)


def wrong_in(
    call: Callable[[], object], *, folder: Path | None = None, codes: tuple[int, ...] = (0, 2, 4)
) -> str | None:
    """The same of what a command calls."""
    before = _files(folder)
    try:
        code, said = ended(call)
    except Late:
        return f"more than {SECONDS} s"
    if code == 1 or "Traceback" in said:
        return _where(said)
    if code not in codes:
        return f"exit {code}: {said[:100]!r}"
    if code and "\n  fix: " not in said:
        return f"exit {code} without a fix: {said[:150]!r}"
    if "\x1b" in said:
        return "a control character on the screen"
    return "wrote something at exit 2" if code == 2 and _files(folder) != before else None


def ended(call: Callable[[], object]) -> tuple[int, str]:
    """Exit code of a call and all that it says. Late."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with in_time(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _code_of(call)
    return code, "".join(stream.buffer.getvalue().decode("utf-8", "replace") for stream in (err, out))


def _where(said: str) -> str:
    """The error and the places of a traceback, the last two of ours."""
    ours = re.findall(r'File "[^"]*/prefgen/([^"]+)", line (\d+)', said)[-2:]
    last = (said.strip().splitlines() or [""])[-1]
    return f"{' > '.join(f'{name}:{line}' for name, line in ours)}: {re.sub(r'[^ -~]', '?', last)[:150]}"


def _files(folder: Path | None) -> dict[str, tuple[int, int]]:
    if folder is None:
        return {}
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def told(found: Mapping[str, Sequence[object]]) -> str:
    """What was found, a line each, with some of the mutants that show it."""
    return "\n".join(
        f"{wrong}: {', '.join(map(str, which[:3]))} ({len(which)})" for wrong, which in sorted(found.items())
    )
