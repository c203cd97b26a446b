"""How far a training is: a bar on a terminal, a line an epoch elsewhere; on stderr, so that stdout is the table alone."""

from __future__ import annotations

import time
from typing import Any

import transformers
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Telling(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Steps done, steps a second, the time left, and the loss."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._begun = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A bar of all steps."""
        del args, control
        self._begun = time.monotonic() - 1e-9
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[loss]}"), console=self._console, transient=True)
            self._bar.add_task(self._name, total=state.max_steps, completed=state.global_step, loss="")
            self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step more."""
        del args, control
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """The loss of an epoch."""
        del args, control
        if not logs or "loss" not in logs:
            return
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], loss=f"loss {float(logs['loss']):.3f}")
            return
        rate = state.global_step / (time.monotonic() - self._begun)
        left = (state.max_steps - state.global_step) / max(rate, 1e-9)
        self._console.print(
            f"{self._name}: step {state.global_step:,} of {state.max_steps:,}, {rate:.2f}/s, {left:.0f} s left, "
            f"loss {float(logs['loss']):.3f}",
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The bar goes."""
        del args, state, control
        if self._bar is not None:
            self._bar.stop()


def quiet() -> None:
    """No bars of the libraries beside ours, nor their warnings to those who write programs."""
    import warnings

    import datasets

    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    warnings.simplefilter("ignore")
