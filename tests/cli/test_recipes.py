"""`prefgen recipes` and `prefgen new`, in a checkout and from an installed wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prefgen.cli.recipes import FOLDER, gallery

ROOT = Path(__file__).parents[2]


def prefgen(*words: str | Path, package: Path = ROOT) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(package)!r}); from prefgen.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, cwd=package)


def test_every_file_of_the_gallery_is_listed_with_what_it_makes() -> None:
    listed = json.loads(prefgen("recipes", "--json").stdout)
    assert [one["file"] for one in listed] == sorted(path.name for path in (ROOT / "pipelines/recipes").glob("*.yaml"))
    for one in listed:
        text = (ROOT / "pipelines/recipes" / one["file"]).read_text("utf-8")
        assert text.startswith(f"# {one['id']}. {one['makes'][:40]}")
        assert one["model"] == ("\nmodels:" in text)
        for word in ("# Needs:", "# Adds:", "under the licence of this repository"):
            assert word in text
    plain = prefgen("recipes").stdout
    assert all(one["id"] in plain for one in listed)


def test_a_word_filters() -> None:
    assert [one["id"] for one in json.loads(prefgen("recipes", "ORDINAL", "--json").stdout)] == ["S002"]
    nothing = prefgen("recipes", "no such word")
    assert nothing.returncode == 2
    assert "fix:" in nothing.stderr


@pytest.mark.parametrize("name", ["s040", "S040", "followed_attribute", "s040_followed_attribute.yaml"])
def test_a_copy_is_whole_and_ready_to_edit(name: str, tmp_path: Path) -> None:
    made = prefgen("new", name, tmp_path / "mine")
    assert made.returncode == 0
    path = tmp_path / "mine" / "s040_followed_attribute.yaml"
    assert made.stdout == f"{path}\n"
    assert {file.name for file in (tmp_path / "mine" / "inputs" / "s040").iterdir()} == {"answers.jsonl", "users.yaml"}
    if name == "s040":
        path.write_text(path.read_text("utf-8").replace("n: 40", "n: 4").replace("users: 40", "users: 4"))
        checked = prefgen("check", path)
        assert checked.returncode == 2
        assert "expect.choices: 192 rows, expected 1,920" in checked.stdout


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine.txt"):
        refused = prefgen("new", "s002", folder)
        assert refused.returncode == 4
        assert str(folder) in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert prefgen("new", "s002", tmp_path / "empty").returncode == 0
    unknown = prefgen("new", "s05", tmp_path / "other")
    assert unknown.returncode == 2
    assert "'S005'" in unknown.stderr
    assert not (tmp_path / "other").exists()


def test_a_wheel_brings_the_recipes(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", "77")
    source, installed = tmp_path / "source", tmp_path / "installed"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in ("prefgen", "pipelines"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    build = "import setuptools.build_meta as b; b.build_wheel('dist')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    shutil.unpack_archive(wheel, installed, "zip")
    shutil.rmtree(source)
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    found = installed / "prefgen" / "recipes"
    assert {str(path.relative_to(found)) for path in found.rglob("*") if path.is_file()} == files
    listed = json.loads(prefgen("recipes", "--json", package=installed).stdout)
    assert [one["id"] for one in listed] == [one.id for one in gallery()]
    assert prefgen("new", "s058", tmp_path / "mine", package=installed).returncode == 0
    assert prefgen("check", tmp_path / "mine" / "s058_ideal_points.yaml", package=installed).returncode == 0


def test_the_page_is_that_of_the_recipes_and_every_reader_has_an_export_that_there_is() -> None:
    from prefgen.cli.recipes_page import consumers, page
    from prefgen.publish.exports.details import OPTIONS, details_of
    from prefgen.publish.exports.presets import PRESETS

    assert (ROOT / "docs/recipes.md").read_text("utf-8") == page(), "run `make docs`"
    readers = consumers()
    assert len({one["id"] for one in readers}) == len(readers) == 49
    for one in readers:
        for preset, options in one["export"].items():
            assert set(options) <= {*OPTIONS.get(preset, ()), "labels", "columns", "context", "shots"}
            assert preset in PRESETS
            details_of(preset, options)


def test_the_readme_says_how_many_recipes_there_are_and_how_many_need_no_model() -> None:
    found, words = list(gallery()), {40: "Forty", 8: "Eight"}
    said = (ROOT / "README.md").read_text("utf-8")
    assert f"{words[len(found)]} published ways" in said
    assert f"{words[sum(not one.model for one in found)]} need no model at all" in said
