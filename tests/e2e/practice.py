"""Runs of which a policy of the beginning and one of the end can be played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import Connection

from tests.e2e.trained import Trained, cancelled
from tests.stack.running_stack import eventually

__all__ = ["Practised", "practised"]

# More than is ever done: the run is stopped.
_ENV_STEPS: Final = 2_000_000_000


@dataclass(frozen=True)
class Practised:
    """A run, and its policies by steps of practice: two at least."""

    run_id: str
    policy_ids: tuple[str, ...]


def practised(connection: Connection, trained: Trained, title: str) -> Practised:
    """Trains for the same reward until the first policy is there, then stops, which keeps what was learned by then."""
    spec = trainer_pb2.RunSpec()
    spec.CopyFrom(_run(connection, trained.run_id).spec)
    spec.settings.env_steps = _ENV_STEPS
    spec.title = title
    run_id = connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run.run_id
    try:
        eventually(lambda: policies(connection, run_id))
    finally:
        eventually(lambda: cancelled(connection, run_id))
    eventually(lambda: _is_settled(_run(connection, run_id)))
    return Practised(run_id, policies(connection, run_id))


def policies(connection: Connection, run_id: str) -> tuple[str, ...]:
    """A run's policies by steps of practice."""
    checkpoints = _run(connection, run_id).checkpoints
    return tuple(checkpoint.policy_id for checkpoint in checkpoints if checkpoint.policy_id)


def _is_settled(run: trainer_pb2.Run) -> bool:
    """Whether it has ended, and nothing comes after the policies that are there."""
    return run.state == trainer_pb2.RUN_STATE_CANCELLED and run.checkpoints[-1].policy_id != ""


def _run(connection: Connection, run_id: str) -> trainer_pb2.Run:
    return connection.call(connection.trainer.GetRun, trainer_pb2.GetRunRequest(run_id=run_id)).run
