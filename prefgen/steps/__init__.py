"""One file per kind of step: tables -> a table.

A kind is a module with a subclass of `Step` whose `kind` is the module's name. Adding a kind is adding a file.
A kind with presets that have keys of their own is a folder: see `write`.
"""

from __future__ import annotations

import importlib
import pkgutil

from prefgen.steps.step import Step

KINDS: tuple[str, ...] = tuple(
    sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in ("context", "step"))
)
"""Names of the kinds of step."""


def kind(name: str) -> type[Step]:
    """The class of one kind of step; only the kinds that a pipeline uses are imported."""
    importlib.import_module(f"{__name__}.{name}")
    return next(step for step in Step.__subclasses__() if step.kind == name)
