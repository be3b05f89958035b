"""A few kills of the Trainer at named points and of its other faults; `make bench-kills` does hundreds."""

import ast
from pathlib import Path

import pytest
import tabrl_trainer
from tabrl_trainer.conftest import WORKER

from tests.robustness.trainer_kills import POINTS, soak

PACKAGE = Path(tabrl_trainer.__file__).parent

# Points that no soak reaches, by the test that kills there.
TESTED_ELSEWHERE = {
    "batch_kills_test.py": [
        "trainer.batch_created",
        "trainer.before_batch_commit",
        "trainer.batch_committed",
        "trainer.batch_evaluated",
        "trainer.batch_trial_asked",
    ],
    "modal_cloud/modal_test.py": [
        "trainer.call_submitted",
        "trainer.call_recorded",
        "trainer.said_recorded",
        "trainer.checkpoint_brought",
    ],
}


@pytest.mark.parametrize("on_postgresql", [False, True], ids=["sqlite", "postgresql"])
async def test_kills_and_other_faults_lose_nothing(tmp_path, on_postgresql):
    report = await soak(3, 1, 1, tmp_path, on_postgresql=on_postgresql, away_secs=4.0)
    assert report.faults == []
    assert report.killed >= 3
    assert report.runs >= 3
    assert set(report.rounds) | set(report.left_out) == (
        {
            "full disk",
            "clock jumps by an hour",
            "clock jumps, two Trainers",
            "database stopped",
            "database hangs",
            "Trainer hangs past its lease",
        }
        if on_postgresql
        else {"full disk", "clock jumps by an hour", "database locked"}
    )
    if on_postgresql:
        assert report.refusals >= 1


def test_every_point_is_in_the_code():
    sources = [path.read_text() for path in PACKAGE.rglob("*.py") if "_test" not in path.name]
    reached = {
        node.args[0].value
        for source in (*sources, WORKER)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reach"
    }
    elsewhere = {point for points in TESTED_ELSEWHERE.values() for point in points}
    assert reached == {*POINTS, *elsewhere}
    assert not elsewhere & {*POINTS}


@pytest.mark.parametrize("test", TESTED_ELSEWHERE)
def test_every_other_point_has_a_test_of_its_own(test):
    source = (PACKAGE / test).read_text()
    assert [point for point in TESTED_ELSEWHERE[test] if f'"{point}' not in source] == []
