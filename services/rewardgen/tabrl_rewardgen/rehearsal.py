"""Trains briefly for a reward through the Trainer, and measures the robot that comes of it."""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from tabrl_chassis import processes
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError, invalid_field

from tabrl_rewardgen.measuring import CONTROLLER, MANIFEST

if TYPE_CHECKING:
    from tabrl_simulation.motion.measure import Measures

__all__ = ["Rehearsal", "Rehearsed"]

_EVERY_SECS: Final = 1.0
_SHARE_OF_DEFAULT: Final = 1 / 3
_EXPORT_SECS: Final = 120.0
_MEASURE_SECS: Final = 180.0
_RESTART_SECS: Final = 60.0
_PASSING: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_ENDED: Final = (trainer_pb2.RUN_STATE_SUCCEEDED, trainer_pb2.RUN_STATE_FAILED, trainer_pb2.RUN_STATE_CANCELLED)


@dataclass(frozen=True)
class Rehearsed:
    """What came of a training: the run, its last policy, and what the robot did."""

    run: trainer_pb2.Run
    policy_id: str
    measured: Measures


class Rehearsal:
    """Speaks with the Trainer and the Exporter."""

    def __init__(
        self, trainer: grpc.aio.Channel, exporter: grpc.aio.Channel, artifacts: ArtifactStore, log: Any
    ) -> None:
        """Train and export behind these channels; what a measurement ends with without an answer is logged."""
        self._trainer = trainer_pb2_grpc.TrainerServiceStub(trainer)
        self._exporter = exporter_pb2_grpc.ExporterServiceStub(exporter)
        self._artifacts = artifacts
        self._log = log
        self._one_measure = asyncio.Semaphore(1)

    async def run(self, run_id: str) -> trainer_pb2.Run:
        """Return a run.

        Raises:
            TabrlError: RUN_NOT_FOUND, SERVICE_UNAVAILABLE.
        """
        response = await call(self._trainer.GetRun, trainer_pb2.GetRunRequest(run_id=run_id), service="trainer")
        return response.run

    async def rehearse(
        self,
        reward: rewardgen_pb2.Reward,
        weights: Mapping[str, float],
        check: str,
        *,
        env_steps: int,
        told: Callable[[trainer_pb2.Run], None],
    ) -> Rehearsed:
        """Train for a reward and measure; a caller who is cancelled cancels the training.

        Args:
            reward: what to train for.
            weights: of its terms.
            check: by which the motion is judged.
            env_steps: control steps of the training; 0 for a third of the environment's default.
            told: given the run when it begins and again and again while it goes on.

        Raises:
            TabrlError: the run could not be begun or failed, its policy was refused, or the check cannot be computed.
        """
        spec = _spec(reward, weights, env_steps or await self._short(reward))
        request = trainer_pb2.CreateRunRequest(spec=spec, request_id=str(uuid.uuid4()))
        created = asyncio.ensure_future(call(self._trainer.CreateRun, request, service="trainer"))
        try:
            response = await asyncio.shield(created)
            told(response.run)
            run, policy_id = await self._trained(response.run.run_id, told)
        except BaseException:
            # Whatever ends this, nobody would look at the run any more, also where it is only just being made.
            await asyncio.shield(self._given_up(created))
            raise
        return Rehearsed(run, policy_id, await self._measured(reward.environment_id, policy_id, check))

    async def _short(self, reward: rewardgen_pb2.Reward) -> int:
        spec = trainer_pb2.RunSpec(environment_id=reward.environment_id)
        estimate = await call(self._trainer.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec), service="trainer")
        return max(1_000, round(_SHARE_OF_DEFAULT * estimate.settings.env_steps))

    async def _trained(self, run_id: str, told: Callable[[trainer_pb2.Run], None]) -> tuple[trainer_pb2.Run, str]:
        """Return the run once it has ended and its last policy is published."""
        waited = 0.0
        while True:
            run = await self._patiently(run_id)
            told(run)
            if run.state in _ENDED:
                if run.state != trainer_pb2.RUN_STATE_SUCCEEDED:
                    raise _failed(run)
                last = run.checkpoints[-1] if run.checkpoints else trainer_pb2.Checkpoint()
                if last.policy_id:
                    return run, last.policy_id
                if last.HasField("refusal"):
                    raise TabrlError(grpc.StatusCode.FAILED_PRECONDITION, last.refusal.reason, last.refusal.message)
                if waited >= _EXPORT_SECS:
                    raise TabrlError(
                        grpc.StatusCode.UNAVAILABLE,
                        "SERVICE_UNAVAILABLE",
                        f"The policy of {run_id} was not exported in {_EXPORT_SECS:g} s; is the Exporter up?",
                    )
                waited += _EVERY_SECS
            await asyncio.sleep(_EVERY_SECS)

    async def _patiently(self, run_id: str) -> trainer_pb2.Run:
        """Return a run; a Trainer that restarts meanwhile goes on with it, so it is waited for."""
        deadline = asyncio.get_running_loop().time() + _RESTART_SECS
        while True:
            try:
                return await self.run(run_id)
            except TabrlError as error:
                if error.code not in _PASSING or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(_EVERY_SECS)

    async def _given_up(self, created: asyncio.Future[trainer_pb2.CreateRunResponse]) -> None:
        """Cancel the run that a call created or is creating, unless it has ended."""
        try:
            request = trainer_pb2.CancelRunRequest(run_id=(await created).run.run_id)
            await call(self._trainer.CancelRun, request, service="trainer")
        except TabrlError:
            return  # it has ended by itself, or the Trainer is gone: nothing more can be done from here

    async def _measured(self, environment_id: str, policy_id: str, check: str) -> Measures:
        request = exporter_pb2.GetPolicyRequest(policy_id=policy_id)
        policy = (await call(self._exporter.GetPolicy, request, service="exporter")).policy
        async with self._one_measure:
            with tempfile.TemporaryDirectory() as folder:
                for name, artifact in ((CONTROLLER, policy.controller), (MANIFEST, policy.manifest)):
                    content = await asyncio.to_thread(self._artifacts.read, artifact.sha256)
                    await asyncio.to_thread((Path(folder) / name).write_bytes, content)
                said = await self._said_by_measuring(environment_id, folder, check)
        if "refused" in said:
            raise invalid_field("check", str(said["refused"]))
        from tabrl_simulation.motion.measure import Measures

        return Measures(int(said["held"]), int(said["rollouts"]), float(said["score"]), said["measures"])

    async def _said_by_measuring(self, environment_id: str, folder: str, check: str) -> dict[str, Any]:
        child = await processes.start_python(
            ["-m", "tabrl_rewardgen.measuring", "--", environment_id, folder, check],
            niceness=5,
            environment={"JAX_PLATFORMS": "cpu"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        cause = f"it took longer than {_MEASURE_SECS:g} s"
        try:
            async with asyncio.timeout(_MEASURE_SECS):
                output, complaint = await child.communicate()
            if child.returncode == 0:
                said: dict[str, Any] = json.loads(output.decode().strip().splitlines()[-1])
                return said
            cause = complaint.decode(errors="replace").strip()[-500:]
        except TimeoutError:
            pass
        except (LookupError, ValueError):
            cause = f"it printed no result: {output[-200:]!r}"
        finally:
            await processes.stop(child, grace_secs=1.0)
        self._log.warning("a trained robot could not be measured", environment_id=environment_id, cause=cause)
        raise TabrlError(
            grpc.StatusCode.UNAVAILABLE, "MEASURE_FAILED", "The trained robot could not be measured; try again."
        )


def _spec(reward: rewardgen_pb2.Reward, weights: Mapping[str, float], env_steps: int) -> trainer_pb2.RunSpec:
    return trainer_pb2.RunSpec(
        environment_id=reward.environment_id,
        reward=trainer_pb2.RewardRef(
            reward_id=reward.reward_id,
            program_sha256=reward.program.sha256,
            onnx_sha256=reward.onnx.sha256,
            weights=weights,
        ),
        settings=trainer_pb2.TrainingSettings(env_steps=env_steps),
        title=reward.name or reward.prompt,
    )


def _failed(run: trainer_pb2.Run) -> TabrlError:
    if run.state == trainer_pb2.RUN_STATE_CANCELLED:
        return TabrlError(
            grpc.StatusCode.ABORTED,
            "RUN_CANCELLED",
            f"The training {run.run_id} was cancelled.",
            metadata={"run_id": run.run_id},
        )
    return TabrlError(grpc.StatusCode.ABORTED, run.error.reason or "INTERNAL", run.error.message)
