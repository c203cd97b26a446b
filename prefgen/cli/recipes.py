"""The gallery: recipes of published datasets that come with prefgen, listed and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

import prefgen
from prefgen.errors import FileError, UsageError, one_of
from prefgen.screen.console import data_console, people, print_json
from prefgen.store.files import file_errors

FOLDER = Path(prefgen.__file__).parent / "recipes"
"""In a checkout a link to pipelines/recipes, in an installed package these files."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe, as its first comment tells of it.

    id           e.g. S005
    name         as in the name of its file
    makes        what comes out
    model        whether a model is asked
    text         all of the comment
    """

    id: str
    name: str
    makes: str
    model: bool
    text: str

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.id.lower()}_{self.name}.yaml"

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """A recipe with its comment; the first paragraph begins with the id and says what it makes."""
        text = path.read_text("utf-8")
        lines = [line[1:].strip() for line in text.split("\nname:")[0].splitlines()]
        makes = " ".join(lines[: lines.index("")])
        number, _, name = path.stem.partition("_")
        about = makes.removeprefix(f"{number.upper()}. ")
        return cls(number.upper(), name, about, "models" in yaml.safe_load(text), "\n".join(lines))

    def says(self, word: str) -> bool:
        """Whether its name or its comment has a word, whatever the case."""
        return word.casefold() in f"{self.id} {self.name} {self.text}".casefold()


def gallery(word: str = "") -> Iterator[Recipe]:
    """The recipes in order of their ids, those that say a word."""
    return (one for one in map(Recipe.read, sorted(FOLDER.glob("*.yaml"))) if one.says(word))


def list_recipes(word: str, *, as_json: bool) -> None:
    """Print the recipes that say a word."""
    found = list(gallery(word))
    if not found:
        raise UsageError(f"no recipe says {word!r}", fix="look at all of them with `prefgen recipes`")
    if as_json:
        keys = ("id", "name", "makes", "model", "file")
        print_json([{key: (asdict(one) | {"file": one.file})[key] for key in keys} for one in found])
        return
    console = data_console()
    for one in found:
        console.print(
            f"{one.id}  {one.name}  ({'a model' if one.model else 'no model'})", markup=False, highlight=False
        )
        console.print(f"      {one.makes}", markup=False, highlight=False)
    people.print("`prefgen new ID DIR` copies one, with its inputs, to be edited", markup=False)


def new_from(recipe: str, folder: Path) -> None:
    """Copy a recipe and its inputs into a folder that is empty or not there yet."""
    known = {one.id.casefold(): one for one in gallery()} | {one.name: one for one in gallery()}
    found = known.get(recipe.removesuffix(".yaml").casefold()) or {one.file: one for one in gallery()}.get(recipe)
    if found is None:
        raise UsageError(f"no recipe {recipe!r}", fix=f"use {one_of(recipe, [one.id for one in gallery()])}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        kind = "is not empty" if folder.is_dir() else "is a file"
        raise FileError(f"{folder}: {kind}", fix="name a new folder, or empty this one")
    inputs = Path("inputs") / found.id.lower()
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOLDER / found.file, folder / found.file)
        shutil.copytree(FOLDER / inputs, folder / inputs)
    path = folder / found.file
    print(path)
    people.print(
        f"edit it and its inputs, then: prefgen check {path}; prefgen plan {path}; prefgen run {path}",
        markup=False,
        soft_wrap=True,
    )
