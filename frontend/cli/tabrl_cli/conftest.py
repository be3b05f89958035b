"""A whole TabRL inside the tests: a gRPC server that speaks the real contracts, in which one run trains at once."""

# ruff: noqa: D102, D107
from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, registry_pb2, registry_pb2_grpc
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.rewardgen.v1 import rewardgen_pb2, rewardgen_pb2_grpc
from tabrl.scene.v1 import menagerie_pb2, menagerie_pb2_grpc, scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import batches_pb2, batches_pb2_grpc, trainer_pb2, trainer_pb2_grpc
from tabrl.type.v1 import artifact_pb2
from typer.testing import CliRunner, Result

from tabrl_cli import main

DIGEST = "0" * 64
SOURCE = "def reward(state, action):\n    return {'upright': state.pole_angle_cos}\n"
STEPS = 10_000
REFUSAL = trainer_pb2.RunError(reason="PARITY_FAILED", message="ctrl moved by 0.1")


def abort(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    reason: str,
    message: str,
    *,
    fields: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    retry_secs: int | None = None,
) -> None:
    """Fails as a TabRL service does."""
    details: list[object] = [
        error_details_pb2.ErrorInfo(reason=reason, domain="tabrl.dev", metadata=metadata or {}),
    ]
    if fields:
        bad_request = error_details_pb2.BadRequest()
        for name, description in fields.items():
            bad_request.field_violations.add(field=name, description=description)
        details.append(bad_request)
    if retry_secs is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=retry_secs)))
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    context.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=code.value[0], message=message, details=packed))
    )


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Knows one version, `go1-dance@latest`, which is of the policy given."""

    def __init__(self, policy_id: str) -> None:
        super().__init__()
        self._policy_id = policy_id

    def GetVersion(
        self, request: registry_pb2.GetVersionRequest, context: grpc.ServicerContext
    ) -> registry_pb2.GetVersionResponse:
        if (request.name, request.reference) != ("go1-dance", "latest"):
            abort(context, grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND", f"{request.name} has no such version.")
        policy = exporter_pb2.Policy(policy_id=self._policy_id)
        return registry_pb2.GetVersionResponse(version=registry_pb2.PolicyVersion(number=1, policy=policy))


class Uploads(scene_pb2_grpc.SceneServiceServicer):
    """Uploaded scenes: takes pieces in order, and needs a call after the last one to have read them."""

    def __init__(self) -> None:
        super().__init__()
        self.received: dict[str, bytes] = {}
        self.turned_away = 0
        self.forgets_at = -1
        self.config = scene_pb2.SceneConfig(control_period_secs=0.02, episode_length=500, home_joints={"knee": 0.5})
        self.config.observations.command = True
        self.configured: list[scene_pb2.SceneConfig] = []

    def UploadScene(
        self, request: scene_pb2.UploadSceneRequest, context: grpc.ServicerContext
    ) -> scene_pb2.UploadSceneResponse:
        if self.turned_away:
            self.turned_away -= 1
            abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS", "others' uploads are being read")
        content = self.received.get(request.upload_id, b"")
        if len(content) == self.forgets_at:
            content, self.forgets_at = b"", -1
        if request.offset_bytes != len(content):
            step = {"received_bytes": str(len(content))}
            abort(context, grpc.StatusCode.OUT_OF_RANGE, "UPLOAD_OUT_OF_STEP", "go on from there", metadata=step)
        content += request.data
        self.received[request.upload_id] = content
        response = scene_pb2.UploadSceneResponse(received_bytes=len(content))
        if len(content) == request.size_bytes and not request.data:
            response.environment.summary.environment_id = f"custom-{request.title}-00000000"
        return response

    def GetScene(
        self, _request: scene_pb2.GetSceneRequest, _context: grpc.ServicerContext
    ) -> scene_pb2.GetSceneResponse:
        return scene_pb2.GetSceneResponse(scene=scene_pb2.Scene(config=self.config))

    def UpdateSceneConfig(
        self, request: scene_pb2.UpdateSceneConfigRequest, _context: grpc.ServicerContext
    ) -> scene_pb2.UpdateSceneConfigResponse:
        self.configured.append(request.config)
        return scene_pb2.UpdateSceneConfigResponse()


class Rewards(rewardgen_pb2_grpc.RewardServiceServicer):
    """Rewards on record, several at once, and a loop that improves them."""

    def __init__(self) -> None:
        super().__init__()
        self.saved_name = ""
        self.improvement_secs_left: float | None = None
        self.improvements: list[rewardgen_pb2.AutoImproveRequest] = []
        self.approaches_asked: list[str] = []
        self.break_approaches = 0

    def GetReward(
        self, request: rewardgen_pb2.GetRewardRequest, context: grpc.ServicerContext
    ) -> rewardgen_pb2.GetRewardResponse:
        if request.reward_id != "reward-1":
            abort(context, grpc.StatusCode.NOT_FOUND, "REWARD_NOT_FOUND", f"There is no reward {request.reward_id!r}.")
        return rewardgen_pb2.GetRewardResponse(reward=reward(prompt="keep the pole up"))

    def ListRewards(
        self, request: rewardgen_pb2.ListRewardsRequest, _context: grpc.ServicerContext
    ) -> rewardgen_pb2.ListRewardsResponse:
        kept = reward(saved_name=self.saved_name)
        return rewardgen_pb2.ListRewardsResponse(rewards=[] if request.saved and not self.saved_name else [kept])

    def SaveReward(
        self, request: rewardgen_pb2.SaveRewardRequest, _context: grpc.ServicerContext
    ) -> rewardgen_pb2.SaveRewardResponse:
        self.saved_name = request.name
        return rewardgen_pb2.SaveRewardResponse(reward=reward(saved_name=self.saved_name))

    def CompileReward(
        self, request: rewardgen_pb2.CompileRewardRequest, context: grpc.ServicerContext
    ) -> rewardgen_pb2.CompileRewardResponse:
        if "import os" in request.source:
            fields = {"source:1:1": "import-forbidden: imports are not part of the language"}
            abort(context, grpc.StatusCode.INVALID_ARGUMENT, "REWARD_REJECTED", "It was refused.", fields=fields)
        trial = rewardgen_pb2.RewardTrial(states=128, idle_reward=0.5, random_reward=0.25)
        return rewardgen_pb2.CompileRewardResponse(reward=reward(source=request.source, trial=trial))

    def GenerateApproaches(
        self, request: rewardgen_pb2.GenerateApproachesRequest, context: grpc.ServicerContext
    ) -> Iterator[rewardgen_pb2.GenerateApproachesResponse]:
        """One reward, one that is the same, and one that fails."""
        response = rewardgen_pb2.GenerateApproachesResponse
        tier = rewardgen_pb2.TierRecommendation(tier=rewardgen_pb2.TIER_FULL, reason="Nothing was trained before.")
        first = reward(name="Smooth", expected_behaviour="The pole hardly moves.", tier=tier)
        yield response(approach=1, stage=rewardgen_pb2.GenerationStage(message="asking the library"))
        yield response(approach=1, reward=first)
        self.approaches_asked.append(request.request_id)
        if self.break_approaches:
            self.break_approaches -= 1
            abort(context, grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE", "RewardGen is away.", retry_secs=1)
        yield response(approach=2, same_as=1)
        failure = rewardgen_pb2.ApproachFailure(reason="PROVIDER_TIMEOUT", message="It took too long.")
        yield response(approach=request.count, failure=failure)

    def AutoImprove(
        self, request: rewardgen_pb2.AutoImproveRequest, context: grpc.ServicerContext
    ) -> Iterator[rewardgen_pb2.AutoImproveResponse]:
        """Two rounds, the second of which fails."""
        self.improvements.append(request)
        self.improvement_secs_left = context.time_remaining()
        response = rewardgen_pb2.AutoImproveResponse
        measured = rewardgen_pb2.Measured(
            reward_id="reward-1",
            run_id="run-1",
            policy_id="policy-2",
            check="mean(up('pole')) > 0.9",
            held=3,
            rollouts=5,
            score=0.8,
            measures={"mean(up('pole'))": 0.75},
        )
        yield response(round=1, stage="writing two rewards")
        yield response(round=1, reward=reward(name="Smooth"))
        yield response(round=1, run=rewardgen_pb2.ImprovementRun(reward_id="reward-1", run_id="run-1"))
        yield response(round=1, measured=measured)
        failure = rewardgen_pb2.ApproachFailure(reason="PROVIDER_TIMEOUT", message="It took too long.")
        yield response(round=2, failure=failure)
        yield response(best=measured)


class Batches(batches_pb2_grpc.BatchServiceServicer):
    """One batch of two candidates: half-way, then with the first stopped and the second the winner."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[batches_pb2.CreateBatchRequest] = []
        self.batch_ends = batches_pb2.BATCH_STATE_SUCCEEDED
        self.break_batch_watch = 0

    def CreateBatch(
        self, request: batches_pb2.CreateBatchRequest, context: grpc.ServicerContext
    ) -> batches_pb2.CreateBatchResponse:
        if any(not candidate.spec.environment_id for candidate in request.spec.candidates):
            fields = {"spec.candidates[0].spec.environment_id": "there is no such environment"}
            abort(context, grpc.StatusCode.NOT_FOUND, "ENVIRONMENT_NOT_FOUND", "There is none.", fields=fields)
        self.submitted.append(request)
        return batches_pb2.CreateBatchResponse(batch=self.batch(batches_pb2.BATCH_STATE_RUNNING))

    def ListBatches(
        self, _request: batches_pb2.ListBatchesRequest, _context: grpc.ServicerContext
    ) -> batches_pb2.ListBatchesResponse:
        return batches_pb2.ListBatchesResponse(batches=[self.batch(self.batch_ends)])

    def CancelBatch(
        self, _request: batches_pb2.CancelBatchRequest, _context: grpc.ServicerContext
    ) -> batches_pb2.CancelBatchResponse:
        return batches_pb2.CancelBatchResponse(batch=self.batch(batches_pb2.BATCH_STATE_CANCELLED))

    def DeleteBatch(
        self, _request: batches_pb2.DeleteBatchRequest, _context: grpc.ServicerContext
    ) -> batches_pb2.DeleteBatchResponse:
        return batches_pb2.DeleteBatchResponse()

    def WatchBatch(
        self, request: batches_pb2.WatchBatchRequest, context: grpc.ServicerContext
    ) -> Iterator[batches_pb2.WatchBatchResponse]:
        if request.batch_id != "batch-1":
            abort(context, grpc.StatusCode.NOT_FOUND, "BATCH_NOT_FOUND", f"There is no batch {request.batch_id}.")
        yield batches_pb2.WatchBatchResponse(snapshot=self.batch(batches_pb2.BATCH_STATE_RUNNING))
        yield batches_pb2.WatchBatchResponse(heartbeat=trainer_pb2.Heartbeat())
        if self.break_batch_watch:
            self.break_batch_watch -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "broken off")
        yield batches_pb2.WatchBatchResponse(snapshot=self.batch(self.batch_ends))

    def batch(self, state: batches_pb2.BatchState.ValueType) -> batches_pb2.Batch:
        batch = batches_pb2.Batch(batch_id="batch-1", state=state)
        batch.spec.title = "keep the pole up"
        for label in ("Calm", "Brisk"):
            batch.spec.candidates.add(label=label).spec.environment_id = "CartpoleBalance"
            batch.candidates.add(index=len(batch.candidates), label=label, run_id=f"run-{label}", total_env_steps=STEPS)
        calm, brisk = batch.candidates
        calm.env_steps = brisk.env_steps = 2_500
        calm.state = brisk.state = batches_pb2.CANDIDATE_STATE_TRAINING
        if state == batches_pb2.BATCH_STATE_SUCCEEDED:
            calm.state, calm.reason = batches_pb2.CANDIDATE_STATE_STOPPED, "Its score is clearly below Brisk's."
            brisk.state, brisk.rank = batches_pb2.CANDIDATE_STATE_FINISHED, 1
            brisk.evaluations.add(env_steps=STEPS, episodes=5, score=0.9, score_error=0.02, held_share=0.8)
            batch.env_steps_trained, batch.env_steps_saved, batch.secs_saved = STEPS + 2_500, STEPS - 2_500, 90.0
            batch.winner.index, batch.winner.run_id, batch.winner.policy_id = 1, "run-Brisk", "policy-2"
            batch.winner.reason = "The check held in 4 of 5 episodes."
        if state == batches_pb2.BATCH_STATE_FAILED:
            batch.error.reason, batch.error.message = "BATCH_WITHOUT_WINNER", "No candidate came to its end."
        return batch


class Menagerie(menagerie_pb2_grpc.MenagerieServiceServicer):
    """One robot of Menagerie."""

    def ListMenagerieScenes(self, request, context):  # type: ignore[no-untyped-def]
        scene = menagerie_pb2.MenagerieScene(robot="unitree_go1", main_file="scene.xml", title="Unitree Go1")
        return menagerie_pb2.ListMenagerieScenesResponse(scenes=[scene])

    def AddMenagerieScene(self, request, context):  # type: ignore[no-untyped-def]
        summary = scene_pb2.EnvironmentSummary(environment_id=f"custom-{request.robot}-{request.main_file}")
        return menagerie_pb2.AddMenagerieSceneResponse(environment=scene_pb2.Environment(summary=summary))


class Server(
    Uploads,
    Rewards,
    Batches,
    Menagerie,
    trainer_pb2_grpc.TrainerServiceServicer,
    exporter_pb2_grpc.ExporterServiceServicer,
    inference_pb2_grpc.InferenceServiceServicer,
):
    """A whole TabRL in which one run trains at once."""

    def __init__(self) -> None:
        super().__init__()
        self.cursors: list[int] = []
        self.break_after: list[int] = []
        self.break_code = grpc.StatusCode.UNAVAILABLE
        self.ends = trainer_pb2.RUN_STATE_SUCCEEDED
        self.created: list[trainer_pb2.CreateRunRequest] = []
        self.end_after: list[int] = []
        self.refused = False
        self.unavailable_estimates = 0
        self.unavailable_rewards = 0
        self.cost_usd: float | None = None
        self.title = "keep the pole up"
        self.reward_requests: list[str] = []

    def ListEnvironments(self, request, context):  # type: ignore[no-untyped-def, override]
        found = [
            scene_pb2.EnvironmentSummary(environment_id=name, robot=name[:8], dof_count=2, actuator_count=1)
            for name in ("CartpoleBalance", "PendulumSwingup")
            if request.query.lower() in name.lower()
        ]
        return scene_pb2.ListEnvironmentsResponse(environments=found, total_size=len(found))

    def GenerateReward(self, request, context):  # type: ignore[no-untyped-def, override]
        if not request.prompt:
            abort(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "INVALID_FIELD",
                "The request breaks a rule.",
                fields={"prompt": "must be at least 1 character"},
            )
        if request.environment_id != "CartpoleBalance":
            abort(
                context,
                grpc.StatusCode.NOT_FOUND,
                "ENVIRONMENT_NOT_FOUND",
                f"There is no environment {request.environment_id}.",
                metadata={"environment_id": request.environment_id, "nearest": "CartpoleBalance"},
            )
        self.reward_requests.append(request.request_id)
        if self.unavailable_rewards:
            self.unavailable_rewards -= 1
            abort(context, grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE", "RewardGen is away.", retry_secs=1)
        if request.model == "openai/absent":
            abort(
                context,
                grpc.StatusCode.UNAVAILABLE,
                "PROVIDER_FAILED",
                "The LLM provider could not be reached.",
                metadata={"provider_error": "connection refused"},
                retry_secs=5,
            )
        Response = rewardgen_pb2.GenerateRewardResponse
        stage = rewardgen_pb2.GenerationStage
        yield Response(stage=stage(phase=rewardgen_pb2.GENERATION_PHASE_WRITING, message="asking the library"))
        yield Response(source_delta="def reward(")
        yield Response(
            repair=rewardgen_pb2.GenerationRepair(
                attempt=1, diagnostics=[rewardgen_pb2.Diagnostic(line=1, column=11, message="the source ends early")]
            )
        )
        yield Response(source_delta=SOURCE)
        yield Response(reward=reward())

    def ListModels(self, request, context):  # type: ignore[no-untyped-def, override]
        return rewardgen_pb2.ListModelsResponse(
            models=[rewardgen_pb2.Model(name="library", title="Built-in library", description="Needs no key.")]
        )

    def EstimateRun(self, request, context):  # type: ignore[no-untyped-def, override]
        if self.unavailable_estimates:
            self.unavailable_estimates -= 1
            abort(context, grpc.StatusCode.UNAVAILABLE, "DRAINING", "The service is shutting down.")
        settings = trainer_pb2.TrainingSettings()
        settings.CopyFrom(request.spec.settings)
        settings.env_steps = settings.env_steps or STEPS
        rented = request.spec.compute.executor == trainer_pb2.EXECUTOR_MODAL
        return trainer_pb2.EstimateRunResponse(
            duration_secs=100,
            env_steps_per_sec=1200,
            measured_runs=2,
            settings=settings,
            queue_secs=0,
            cost_usd=0.125 if rented else None,
            usd_per_hour=4.5 if rented else None,
        )

    def CreateRun(self, request, context):  # type: ignore[no-untyped-def, override]
        self.created.append(request)
        return trainer_pb2.CreateRunResponse(run=self.run(trainer_pb2.RUN_STATE_QUEUED))

    def GetRun(self, request, context):  # type: ignore[no-untyped-def, override]
        if request.run_id != "run-1":
            abort(context, grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND", f"There is no run {request.run_id}.")
        return trainer_pb2.GetRunResponse(run=self.run(self.ends))

    def ListRuns(self, request, context):  # type: ignore[no-untyped-def, override]
        return trainer_pb2.ListRunsResponse(runs=[self.run(self.ends)])

    def WatchRuns(self, request, context):  # type: ignore[no-untyped-def, override]
        after = request.cursors[0].after_revision
        self.cursors.append(after)
        yield trainer_pb2.WatchRunsResponse(snapshot=self.run(trainer_pb2.RUN_STATE_RUNNING))
        yield trainer_pb2.WatchRunsResponse(heartbeat=trainer_pb2.Heartbeat())
        for event in self.events():
            if event.revision > after:
                yield trainer_pb2.WatchRunsResponse(event=event)
                if self.end_after and event.revision == self.end_after[0]:
                    self.end_after.pop(0)
                    return
                if self.break_after and event.revision == self.break_after[0]:
                    self.break_after.pop(0)
                    context.abort(self.break_code, "broken off")

    def ListPolicies(self, request, context):  # type: ignore[no-untyped-def, override]
        return exporter_pb2.ListPoliciesResponse()

    def Evaluate(self, request, context):  # type: ignore[no-untyped-def, override]
        for index in range(request.episodes):
            yield inference_pb2.EvaluateResponse(
                episode=inference_pb2.EpisodeResult(index=index, episode_return=990.0, length=1000, survived=1.0)
            )
        yield inference_pb2.EvaluateResponse(
            summary=inference_pb2.EvaluationSummary(
                episodes=request.episodes,
                mean_return=990.0,
                mean_survived=1.0,
                term_returns={"upright": 990.0},
                control_latency_secs=48e-6,
            )
        )

    def run(self, state: trainer_pb2.RunState.ValueType) -> trainer_pb2.Run:
        run = trainer_pb2.Run(run_id="run-1", state=state)
        run.spec.environment_id = "CartpoleBalance"
        run.spec.reward.reward_id = "reward-1"
        run.spec.settings.env_steps = STEPS
        run.spec.title = self.title
        if state == trainer_pb2.RUN_STATE_FAILED:
            run.error.reason = "TRAINING_DIVERGED"
            run.error.message = "the policy loss is not finite"
        if state == trainer_pb2.RUN_STATE_SUCCEEDED:
            run.metrics.env_steps = STEPS
            run.metrics.episode_return = 812.5
            if self.cost_usd is not None:
                run.cost_usd = self.cost_usd
            if self.refused:
                run.checkpoints.add(env_steps=STEPS, final=True, refusal=REFUSAL).artifact.sha256 = DIGEST
        return run

    def events(self) -> Iterator[trainer_pb2.RunEvent]:
        """Half of the way, a policy, all of the way, the final policy, the end."""
        event = trainer_pb2.RunEvent
        metrics = trainer_pb2.TrainingMetrics
        if self.refused:
            refused = trainer_pb2.PolicyRefused(env_steps=STEPS, checkpoint_sha256=DIGEST, error=REFUSAL, final=True)
            yield event(revision=1, policy_refused=refused)
            yield event(revision=2, state_changed=trainer_pb2.StateChanged(state=self.ends))
            return
        yield event(revision=1, metrics=metrics(env_steps=5000, projected_return=400.0, remaining_secs=50))
        yield event(revision=2, policy_published=trainer_pb2.PolicyPublished(policy_id="policy-1", env_steps=5000))
        yield event(revision=3, metrics=metrics(env_steps=STEPS, episode_return=812.5))
        yield event(
            revision=4,
            policy_published=trainer_pb2.PolicyPublished(policy_id="policy-2", env_steps=STEPS, final=True),
        )
        yield event(revision=5, state_changed=trainer_pb2.StateChanged(state=self.ends))


def reward(**fields: Any) -> rewardgen_pb2.Reward:
    """The reward that the server writes, whatever it is asked for, with some fields changed."""
    written = rewardgen_pb2.Reward(
        reward_id="reward-1",
        environment_id="CartpoleBalance",
        origin=rewardgen_pb2.REWARD_ORIGIN_LIBRARY,
        source=SOURCE,
        terms=[rewardgen_pb2.RewardTerm(name="upright", weight=2.0, explanation="The pole points up.")],
        explanation="Keeps the pole up.",
        left_out=["swaying gently"],
        program=artifact_pb2.Artifact(sha256=DIGEST),
        onnx=artifact_pb2.Artifact(sha256=DIGEST),
    )
    written.MergeFrom(rewardgen_pb2.Reward(**fields))
    return written


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    """A server and the URL to name it by."""
    servicer = Server()
    running = grpc.server(futures.ThreadPoolExecutor(8))
    scene_pb2_grpc.add_SceneServiceServicer_to_server(servicer, running)
    menagerie_pb2_grpc.add_MenagerieServiceServicer_to_server(servicer, running)
    rewardgen_pb2_grpc.add_RewardServiceServicer_to_server(servicer, running)
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(servicer, running)
    batches_pb2_grpc.add_BatchServiceServicer_to_server(servicer, running)
    exporter_pb2_grpc.add_ExporterServiceServicer_to_server(servicer, running)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Registry("policy-1"), running)
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield servicer, f"http://127.0.0.1:{port}"
    running.stop(None)


def tabrl(url: str, *arguments: str) -> Result:
    """Runs the program against a server."""
    return CliRunner().invoke(main.app, [*arguments, "--gateway", url])


TRY = ("try", "keep the pole up", "--env", "CartpoleBalance")
