"""The house holds: imports point down, every room has a place, no file or function outgrows a sitting."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_point_down_and_every_room_has_a_place() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


Function = ast.FunctionDef | ast.AsyncFunctionDef
SOURCES = {path: path.read_text() for path in sorted((ROOT / "prefgen").rglob("*.py"))}
FUNCTIONS = [
    (path, node) for path, text in SOURCES.items() for node in ast.walk(ast.parse(text)) if isinstance(node, Function)
]


def lines(node: Function, *, docstring: bool = True) -> int:
    """Lines from `def` to the last one; without the docstring those of the body alone."""
    if docstring:
        return (node.end_lineno or 0) - node.lineno + 1
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_file_outgrows_a_sitting() -> None:
    assert not {path.name: text.count("\n") for path, text in SOURCES.items() if text.count("\n") > 300}


def test_no_function_outgrows_a_screen_and_nine_in_ten_are_short() -> None:
    assert not {f"{path.name}: {node.name}": lines(node) for path, node in FUNCTIONS if lines(node) > 40}
    lengths = sorted(lines(node, docstring=False) for _, node in FUNCTIONS)
    assert lengths[int(0.9 * len(lengths))] <= 18


def test_no_class_does_more_than_a_dozen_things() -> None:
    many = {
        f"{path.name}: {node.name}": n
        for path, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and (n := sum(isinstance(one, Function) for one in node.body)) > 12
    }
    assert not many


def test_a_run_reaches_few_modules_before_it_begins() -> None:
    code = "import sys, prefgen.flow.run; print(*(name for name in sys.modules if name.partition('.')[0] == 'prefgen'))"
    reached = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert len(reached) <= 45, f"{len(reached)} modules: {' '.join(sorted(reached))}"


def test_only_the_command_line_prints() -> None:
    for path in (ROOT / "prefgen").rglob("*.py"):
        if "cli" not in path.parts:
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            assert not any(
                isinstance(call.func, ast.Name) and call.func.id in ("print", "eval", "exec") for call in calls
            ), path
