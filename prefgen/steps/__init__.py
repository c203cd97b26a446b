"""One file per kind of step: rows -> rows.

A kind is a module with `class Spec(StepSpec)` and `make(spec, tables, context)`; its name is the module's name.
Adding a kind is adding a file. A kind with presets that have keys of their own is a folder: see `write`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Protocol, cast

import polars as pl

from prefgen.spec.pipeline import StepSpec
from prefgen.steps.context import Context, Forecast
from prefgen.store.table import Table

KINDS: tuple[str, ...] = tuple(
    sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "context")
)
"""Names of the kinds of step."""


class Kind(Protocol):
    """What a module in this folder offers."""

    Spec: type[StepSpec]

    @staticmethod
    def make(spec: StepSpec, tables: Mapping[str, Table], context: Context) -> Iterator[pl.DataFrame]:
        """The step's table, part by part."""
        ...


class AskingKind(Kind, Protocol):
    """A kind whose spec `asks()` a model."""

    @staticmethod
    def foresee(spec: StepSpec, tables: Mapping[str, Table], context: Context) -> Forecast:
        """What `make` will ask, without asking."""
        ...


def kind(name: str) -> AskingKind:
    """The module of one kind of step; only the kinds that a pipeline uses are imported."""
    return cast(AskingKind, importlib.import_module(f"{__name__}.{name}"))


def kind_of(spec: StepSpec) -> str:
    """The kind of a step: the module of this folder, or the folder, that its spec was written in."""
    return type(spec).__module__.removeprefix(f"{__name__}.").partition(".")[0]
