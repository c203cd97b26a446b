"""How a command ends: stopped, complained about, cut off from its readers, or done; each with its exit code."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from prefgen.screen.unwritten import Unwritten

_INTERRUPTED = 130
_NOT_WRITTEN = 4
_CLOSED = 141  # as a shell has it for a program whose reader went away
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)


class _Ended(Exception):  # noqa: N818 - carries what typer would turn into exits of its own
    pass


class Commands(TyperGroup):
    """The commands; what ends one comes out as it was raised, for typer makes exits of Ctrl-C and of closed pipes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, OSError) as error:
            raise _Ended from error


def ended(command: Callable[[], Any]) -> NoReturn:
    """Run a command and exit as README says."""
    # systemd, Kubernetes and Slurm stop a job with SIGTERM, a terminal that closes with SIGHUP: as Ctrl-C does.
    # A script's job in the background begins with SIGINT ignored, and one under nohup with SIGHUP.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for other in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(other) is not signal.SIG_IGN:
            signal.signal(other, lambda *_: signal.raise_signal(signal.SIGINT))
    gc.set_threshold(20_000, 20, 50)  # imports leave no garbage, and looking for it was a tenth of a small run's CPU
    code = _code_of(command)
    if code == _INTERRUPTED:
        os._exit(code)  # everything is put away; whoever presses Ctrl-C again does not wait for threads
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        code = code or _said(error)
        for stream in (sys.stdout, sys.stderr):  # so that Python does not try again, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _code_of(command: Callable[[], Any]) -> int:
    try:
        returned = command()
    except _Ended as error:
        return _said(error.__cause__)
    except (Exception, KeyboardInterrupt) as error:
        return _said(error)
    return returned if isinstance(returned, int) else 0


def _said(error: BaseException | None) -> int:
    """Say why a command ended, if anybody can read it, and return its exit code."""
    text, code = _words(error)
    if code == _INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the second Ctrl-C means the same as the first
    with contextlib.suppress(OSError):  # stderr may be what cannot be written
        print(text, file=sys.stderr, flush=True)
    return code


def _words(error: BaseException | None) -> tuple[str, int]:
    from prefgen.errors import PrefgenError

    if isinstance(error, Unwritten):
        error = error.__cause__
    if isinstance(error, PrefgenError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "\ninterrupted; run the same command again to go on", _INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return "nobody reads what is written any more; run the same command again to go on", _CLOSED
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"cannot be written: {error.strerror}\n  fix: make room, then run the same command again", _NOT_WRITTEN
    # typer carries a click of its own; what it raises for a wrong command line is found as BadParameter's parent.
    usage: Any = next(parent for parent in typer.BadParameter.__mro__ if parent.__name__ == "ClickException")
    if isinstance(error, usage):
        context = getattr(error, "ctx", None)
        where = f"{context.get_usage()}\n" if context is not None else ""
        return f"{where}Error: {error.format_message()}", int(error.exit_code)
    assert error is not None
    return discreet("".join(traceback.format_exception(error))), 1


def discreet(text: str) -> str:
    """A text without the keys that stand in the environment."""
    for name, value in os.environ.items():
        if len(value) >= 8 and name.upper().endswith(("KEY", "TOKEN", "SECRET", "PASSWORD")):
            text = text.replace(value, "***")
    return text
