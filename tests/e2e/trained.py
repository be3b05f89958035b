"""Something that was trained, for tests of all that begins after the training."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tabrl.exporter.v1 import exporter_pb2, registry_pb2
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import COMPILE_SECS, Connection
from tabrl_cli.errors import CallError
from tabrl_simulation import environments
from tabrl_simulation.controllers.untrained import untrained_checkpoint

from tests.stack.running_stack import RunningStack, eventually

__all__ = ["ENVIRONMENT", "PROMPT", "Trained", "cancelled", "endless_run", "publish_untrained", "train_and_register"]

ENVIRONMENT: Final = "CartpoleBalance"
PROMPT: Final = "Keep the pole upright and stay near the middle of the track"
# Enough that the pole stays up; about ten seconds of training.
_ENV_STEPS: Final = 1_000_000
# A deadline against hanging: a busy machine trains slowly.
_WITHIN_SECS: Final = 300.0
# More than can be done while a test lasts.
_ENDLESS_STEPS: Final = 2_000_000_000


@dataclass(frozen=True)
class Trained:
    """A reward, a run with it, a policy that has learned nothing and the run's last one, and the name of both."""

    reward_id: str
    run_id: str
    policy_ids: tuple[str, str]
    name: str


def train_and_register(stack: RunningStack, connection: Connection) -> Trained:
    """Writes a reward, trains with it for some seconds, and registers it after one that has learned nothing."""
    written = rewardgen_pb2.CreateRewardRequest(prompt=PROMPT, scene_name=ENVIRONMENT, request_id=str(uuid.uuid4()))
    reward = connection.call(connection.rewards.CreateReward, written, COMPILE_SECS).reward
    spec = trainer_pb2.RunSpec(
        environment_id=ENVIRONMENT,
        reward=trainer_pb2.RewardRef(
            reward_id=reward.reward_id,
            program_sha256=reward.program.sha256,
            onnx_sha256=reward.onnx.sha256,
            weights={term.name: term.weight for term in reward.terms},
        ),
        settings=trainer_pb2.TrainingSettings(env_steps=_ENV_STEPS, num_envs=256),
        title=PROMPT,
    )
    run = connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run

    def published() -> str:
        asked = trainer_pb2.GetRunRequest(run_id=run.run_id)
        now = connection.call(connection.trainer.GetRun, asked).run
        assert now.state not in (trainer_pb2.RUN_STATE_FAILED, trainer_pb2.RUN_STATE_CANCELLED), now.error
        # Of the checkpoints before the last those are passed over for which a busy machine has no time.
        last = now.checkpoints[-1] if now.checkpoints else None
        return last.policy_id if last and last.final else ""

    first = publish_untrained(connection, stack.data / "artifacts", seed=1).policy_id
    last = eventually(published, _WITHIN_SECS, stack.tail)
    for policy_id in (first, last):
        version = registry_pb2.RegisterVersionRequest(name="balance", policy_id=policy_id, notes="Made by a test")
        connection.call(connection.registry.RegisterVersion, version)
    return Trained(reward.reward_id, run.run_id, (first, last), "balance")


@contextlib.contextmanager
def endless_run(stack: RunningStack, connection: Connection) -> Iterator[str]:
    """Starts a run that trains until it is cancelled, at the end at the latest."""
    settings = trainer_pb2.TrainingSettings(env_steps=_ENDLESS_STEPS, num_envs=256)
    spec = trainer_pb2.RunSpec(environment_id=ENVIRONMENT, settings=settings)
    run_id = connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run.run_id
    try:
        yield run_id
    finally:
        eventually(lambda: cancelled(connection, run_id), report=stack.tail)


def cancelled(connection: Connection, run_id: str) -> bool:
    """Cancels a run; whether the Trainer was there to do it."""
    try:
        connection.call(connection.trainer.CancelRun, trainer_pb2.CancelRunRequest(run_id=run_id))
    except CallError as error:
        return error.reason == "RUN_ENDED"
    return True


def publish_untrained(
    connection: Connection, artifacts: Path, *, seed: int, environment: str = ENVIRONMENT
) -> exporter_pb2.Policy:
    """Publishes a policy that has learned nothing; each seed gives another."""
    from tabrl_chassis.artifacts import ArtifactStore

    checkpoint = untrained_checkpoint(environments.load(environment), seed=seed)
    kept = ArtifactStore(artifacts).put(checkpoint.to_bytes())
    asked = exporter_pb2.CreatePolicyRequest(
        environment_id=environment, checkpoint_sha256=kept.sha256, title=f"Untrained, seed {seed}"
    )
    return connection.call(connection.exporter.CreatePolicy, asked, 300.0).policy
