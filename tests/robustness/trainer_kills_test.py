"""A few kills of the Trainer at named points; `make bench-kills` does hundreds."""

import ast
from pathlib import Path

import tabrl_trainer
from tabrl_trainer.conftest import WORKER

from tests.robustness.trainer_kills import POINTS, soak


async def test_kills_at_named_points_lose_nothing(tmp_path):
    report = await soak(4, 1, tmp_path)
    assert report.faults == []
    assert sum(report.kills.values()) >= 4
    assert report.runs >= 4


def test_every_point_is_in_the_code():
    sources = [
        path.read_text() for path in Path(tabrl_trainer.__file__).parent.glob("*.py") if "_test" not in path.name
    ]
    reached = {
        node.args[0].value
        for source in (*sources, WORKER)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reach"
    }
    assert reached == set(POINTS)
