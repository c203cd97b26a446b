"""`python -m prefgen.training RUN --target PERSONA`: train toward one persona, and say how near each way came."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from prefgen.cli.ending import ended
from prefgen.errors import UsageError

if TYPE_CHECKING:
    from prefgen.training.align import Achieved
    from prefgen.training.data import Aligning

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_ALL = ["plain", "role-play", "sft", "dpo", "wdpo"]
_METHOD = (
    "plain, role-play, people (with --by: the group's own people of train), sft, dpo, wdpo, or wdpo:ALPHA,BETA; may be repeated. "
    "By default all but the last."
)
_BY = (
    "Column of real people: the target is one of its values, and people held out are the measure instead of questions."
)

RunDir = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `prefgen run` wrote.")]
Target = Annotated[str, typer.Option(help="The persona, or with --by the group, that the model is to answer as.")]
By = Annotated[str | None, typer.Option(help=_BY)]
Methods = Annotated[list[str] | None, typer.Option("--method", help=_METHOD)]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Of adapter and order; may be repeated. By default 0.")]
Model = Annotated[str, typer.Option(help="A folder, a .gguf, a model on the Hub, or the embedded one.")]
Export = Annotated[str, typer.Option(help="Name of the export with the pairs.")]
Out = Annotated[Path | None, typer.Option(help="For adapters and alignment.json; by default RUN/training/TARGET.")]
Epochs = Annotated[float, typer.Option(min=0.01, help="Passes over the pairs.")]
LearningRate = Annotated[float, typer.Option(min=0.0, help="Of AdamW, falling linearly to 0.")]
Beta = Annotated[float, typer.Option(min=0.0, help="Of DPO: how closely it keeps to the model it began as.")]
Rank = Annotated[int, typer.Option(min=1, help="Of the LoRA adapter.")]
Batch = Annotated[int, typer.Option(min=1, help="Rows a step.")]
Pairs = Annotated[int | None, typer.Option(min=1, help="Most pairs to train on, drawn anew with every seed.")]


@app.command()
def main(
    run: RunDir,
    target: Target,
    by: By = None,
    methods: Methods = None,
    seeds: Seeds = None,
    model: Model = "embedded",
    export: Export = "dpo",
    out: Out = None,
    epochs: Epochs = 3.0,
    learning_rate: LearningRate = 2e-4,
    beta: Beta = 0.1,
    rank: Rank = 8,
    batch: Batch = 8,
    pairs: Pairs = None,
) -> None:
    """Train a model toward one persona of a run, or one group of real people, and hold it against all of them on what was held out."""
    _check_installed()
    from prefgen.training.align import Method, Settings
    from prefgen.training.table import table

    settings = Settings(epochs, learning_rate, beta, rank, batch, pairs)
    wanted = [Method.of(one) for one in methods or (_ALL if by is None else [*_ALL, "people"])]
    aligning = _read(run, target, by, export)
    folder = out or run / "training" / (target if by is None else f"{by}-{target}")
    achieved = list(_achieved(model, aligning, wanted, seeds or [0], settings, folder))
    _write(folder / "alignment.json", [one.to_json() for one in achieved])
    typer.echo(table(achieved, target))


def _read(run: Path, target: str, by: str | None, export: str) -> Aligning:
    if by is None:
        from prefgen.training.data import read_aligning

        aligning = read_aligning(run, target, export=export)
        held = f"{len(aligning.questions)} questions held out"
    else:
        from prefgen.training.groups import read_group

        aligning = read_group(run, by, target, export=export)
        held = f"{len(aligning.questions)} questions, {len(aligning.test)} pairs of people held out"
    typer.echo(f"{len(aligning.train)} pairs of {target}; {held}", err=True)
    return aligning


def _achieved(model: str, aligning: Aligning, *how: Any) -> Iterator[Achieved]:
    """What each method achieved, said as soon as it is known."""
    from prefgen.training.align import align
    from prefgen.training.models import load
    from prefgen.training.progress import quiet

    quiet()
    target = aligning.target
    for one in align(load(model), aligning, *how):
        near = one.nearness
        typer.echo(
            f"{one.method}, seed {one.seed}: {near.of_target(target):.3f} bits from {target}, "
            f"{near.of_others(target):.3f} from the others, {near.accuracy:.0%} of pairs",
            err=True,
        )
        yield one


def _check_installed() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "trl", "peft") if find_spec(name) is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} not installed", fix='pip install "prefgen[train]"')
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _write(path: Path, content: Sequence[Any]) -> None:
    from prefgen.store.files import write_aside

    path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, orjson.dumps(content, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    ended(lambda: app(standalone_mode=False))
