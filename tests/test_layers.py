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


def test_no_room_outgrows_a_sitting() -> None:
    for path in (ROOT / "prefgen").rglob("*.py"):
        text = path.read_text()
        assert text.count("\n") <= 350, f"{path.name} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 60, f"{path.name}: {node.name} has {length} lines"


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
