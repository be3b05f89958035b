"""The program against a real gRPC server that speaks the real contracts from inside the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.rewardgen.v1 import rewardgen_pb2, rewardgen_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from tabrl.type.v1 import artifact_pb2
from typer.testing import CliRunner, Result

from tabrl_cli import main, watch
from tabrl_cli.connection import Connection
from tabrl_cli.errors import CallError

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


class Server(
    scene_pb2_grpc.SceneServiceServicer,
    rewardgen_pb2_grpc.RewardServiceServicer,
    trainer_pb2_grpc.TrainerServiceServicer,
    exporter_pb2_grpc.ExporterServiceServicer,
    inference_pb2_grpc.InferenceServiceServicer,
):
    """A whole TabRL in which one run trains at once."""

    def __init__(self) -> None:
        self.cursors: list[int] = []
        self.break_after: list[int] = []
        self.break_code = grpc.StatusCode.UNAVAILABLE
        self.ends = trainer_pb2.RUN_STATE_SUCCEEDED
        self.created: list[trainer_pb2.CreateRunRequest] = []
        self.end_after: list[int] = []
        self.refused = False
        self.unavailable_estimates = 0
        self.unavailable_rewards = 0
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
        return trainer_pb2.EstimateRunResponse(
            duration_secs=100, env_steps_per_sec=1200, measured_runs=2, settings=settings, queue_secs=0
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
        run.spec.title = "keep the pole up"
        if state == trainer_pb2.RUN_STATE_FAILED:
            run.error.reason = "TRAINING_DIVERGED"
            run.error.message = "the policy loss is not finite"
        if state == trainer_pb2.RUN_STATE_SUCCEEDED:
            run.metrics.env_steps = STEPS
            run.metrics.episode_return = 812.5
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


def reward() -> rewardgen_pb2.Reward:
    return rewardgen_pb2.Reward(
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


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    """A server and the URL to name it by."""
    servicer = Server()
    running = grpc.server(futures.ThreadPoolExecutor(8))
    scene_pb2_grpc.add_SceneServiceServicer_to_server(servicer, running)
    rewardgen_pb2_grpc.add_RewardServiceServicer_to_server(servicer, running)
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(servicer, running)
    exporter_pb2_grpc.add_ExporterServiceServicer_to_server(servicer, running)
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield servicer, f"http://127.0.0.1:{port}"
    running.stop(None)


def tabrl(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main.app, [*arguments, "--gateway", url])


TRY = ("try", "keep the pole up", "--env", "CartpoleBalance")


def test_try_tells_the_whole_story(server: tuple[Server, str]) -> None:
    servicer, url = server
    result = tabrl(url, *TRY, "--steps", str(STEPS))
    assert result.exit_code == 0, result.output
    in_order = [
        "asking the library",
        "attempt 1 was refused",
        "line 1, column 11: the source ends early",
        "def reward(state, action):",
        "upright · 2  The pole points up.",
        "not covered: swaying gently",
        "from the built-in library, without an LLM",
        "1 min 40 s for 10,000 steps (1,200 steps/s, measured on 2 runs here)",
        "50 %  5,000/10,000 steps  return ≈400.0",
        "policy policy-1 after 5,000 steps",
        "final policy policy-2 after 10,000 steps",
        "return 812.5 after 10,000 steps",
        "policy policy-2",
        f"{url}/?env=CartpoleBalance&reward=reward-1&run=run-1&policy=policy-2",
    ]
    position = 0
    for text in in_order:
        assert text in result.output[position:], f"{text!r} is missing or too early in:\n{result.output}"
        position = result.output.index(text, position)
    spec = servicer.created[0].spec
    assert (spec.settings.env_steps, dict(spec.reward.weights)) == (STEPS, {"upright": 2.0})
    assert len(servicer.created[0].request_id) == 36


def test_try_as_json_is_a_document_a_line(server: tuple[Server, str]) -> None:
    result = tabrl(server[1], *TRY, "--json")
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "stage"
    assert names[-1] == "result"
    assert (events[-1]["policy_id"], events[-1]["state"]) == ("policy-2", "RUN_STATE_SUCCEEDED")
    assert events[names.index("reward")]["reward"]["terms"][0]["name"] == "upright"


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_a_broken_watch_goes_on_after_the_last_revision(server: tuple[Server, str], code: grpc.StatusCode) -> None:
    servicer, url = server
    servicer.break_after, servicer.break_code = [1, 3], code
    result = tabrl(url, *TRY, "--json")
    assert result.exit_code == 0
    assert servicer.cursors == [0, 1, 3]
    events = [json.loads(line) for line in result.stdout.splitlines()]
    revisions = [int(event["run_event"]["revision"]) for event in events if event["event"] == "run_event"]
    assert revisions == [1, 2, 3, 4, 5]
    assert sum(event["event"] == "connection_lost" for event in events) == 2


def test_a_watch_that_ends_before_its_run_goes_on(server: tuple[Server, str]) -> None:
    servicer, url = server
    servicer.end_after = [1, 3]
    result = tabrl(url, *TRY)
    assert result.exit_code == 0, result.output
    assert servicer.cursors == [0, 1, 3]
    assert "final policy policy-2" in result.output


def test_a_compacted_history_is_taken_up_from_its_start(server: tuple[Server, str]) -> None:
    servicer, url = server
    servicer.break_after, servicer.break_code = [2], grpc.StatusCode.OUT_OF_RANGE
    result = tabrl(url, "watch", "run-1")
    assert result.exit_code == 0
    assert servicer.cursors == [0, 0]


def test_a_watch_that_stays_broken_is_an_error() -> None:
    patience = watch.Patience(first_pause_secs=0.01, longest_pause_secs=0.02, total_secs=0.1)
    connection = Connection("http://127.0.0.1:1")
    with pytest.raises(CallError) as raised:
        list(watch.watch_run(connection, "run-1", patience=patience))
    assert raised.value.reason == "GATEWAY_UNREACHABLE"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (trainer_pb2.RUN_STATE_FAILED, "the policy loss is not finite (TRAINING_DIVERGED)"),
        (trainer_pb2.RUN_STATE_CANCELLED, "run-1 was cancelled"),
    ],
)
def test_a_run_that_ends_badly_is_an_error(server: tuple[Server, str], state: int, text: str) -> None:
    servicer, url = server
    servicer.ends = state
    result = tabrl(url, *TRY)
    assert result.exit_code == 1
    assert text in result.stderr


def test_a_checkpoint_that_was_refused_for_good_is_told_as_such(server: tuple[Server, str]) -> None:
    servicer, url = server
    servicer.refused = True
    result = tabrl(url, *TRY)
    assert result.exit_code == 5
    assert result.output.count("after 10,000 steps gives no policy (PARITY_FAILED): ctrl moved by 0.1") == 1
    assert "its last checkpoint gives no policy: ctrl moved by 0.1 (PARITY_FAILED)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "texts"),
    [
        (("try", "", "--env", "CartpoleBalance"), 2, ["(INVALID_FIELD)", "prompt must be at least 1 character"]),
        (("try", "x", "--env", "Cartpole"), 3, ["(ENVIRONMENT_NOT_FOUND)", "Did you mean CartpoleBalance?"]),
        (
            (*TRY, "--model", "openai/absent"),
            4,
            ["(PROVIDER_FAILED)", "the provider said: connection refused", "--model library"],
        ),
        (("watch", "run-2"), 3, ["(RUN_NOT_FOUND)", "`tabrl runs`"]),
        ((*TRY, "--steps", "12"), 2, ["--steps"]),
    ],
)
def test_errors_say_what_and_what_to_do(
    server: tuple[Server, str], arguments: tuple[str, ...], status: int, texts: list[str]
) -> None:
    result = tabrl(server[1], *arguments)
    assert result.exit_code == status, result.output
    for text in texts:
        assert text in result.stderr


def test_errors_as_json(server: tuple[Server, str]) -> None:
    result = tabrl(server[1], "try", "x", "--env", "Cartpole", "--json")
    error = json.loads(result.stderr)["error"]
    assert (error["code"], error["reason"]) == ("NOT_FOUND", "ENVIRONMENT_NOT_FOUND")
    assert error["metadata"]["nearest"] == "CartpoleBalance"


def test_an_absent_gateway_is_named() -> None:
    result = tabrl("http://127.0.0.1:1", "envs")
    assert result.exit_code == 4
    assert "No TabRL answers at http://127.0.0.1:1." in result.stderr
    assert "make up" in result.stderr


def test_a_gateway_that_is_no_url() -> None:
    result = tabrl("ftp://x", "envs")
    assert result.exit_code == 2
    assert "no URL of a gateway" in result.stderr


def test_a_call_is_tried_again_while_a_service_restarts(
    server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabrl_cli.connection.RESTART_PAUSES_SECS", (0.01,) * 4)
    servicer, url = server
    servicer.unavailable_estimates = 2
    assert tabrl(url, *TRY).exit_code == 0


@pytest.mark.parametrize(("failures", "status"), [(3, 0), (9, 4)])
def test_a_reward_is_asked_for_again_while_its_service_restarts(
    server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch, failures: int, status: int
) -> None:
    monkeypatch.setattr("tabrl_cli.connection.RESTART_PAUSES_SECS", (0.01,) * 4)
    servicer, url = server
    servicer.unavailable_rewards = failures
    assert tabrl(url, *TRY).exit_code == status
    assert len(servicer.reward_requests) == min(failures, 4) + 1
    assert len(set(servicer.reward_requests)) == 1


def test_what_is_not_safe_to_repeat_is_not_repeated(
    server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabrl_cli.connection.RESTART_PAUSES_SECS", (0.01,) * 4)
    servicer, url = server
    servicer.unavailable_rewards = 1
    connection = Connection(url)
    request = rewardgen_pb2.GenerateRewardRequest(prompt="sway", environment_id="CartpoleBalance")
    with pytest.raises(CallError):
        list(connection.stream(connection.rewards.GenerateReward, request))
    assert servicer.reward_requests == [""]


def test_lists(server: tuple[Server, str]) -> None:
    url = server[1]
    assert "PendulumSwingup" in tabrl(url, "envs").output
    assert "PendulumSwingup" not in tabrl(url, "envs", "--query", "cart").output
    listed = tabrl(url, "runs").output
    assert "run-1" in listed
    assert "succeeded" in listed
    assert "812.5" in listed
    assert "No policies yet" in tabrl(url, "policies").output
    assert "Built-in library" in tabrl(url, "models").output
    document = json.loads(tabrl(url, "envs", "--json").stdout)
    assert document["total_size"] == 2


def test_evaluate(server: tuple[Server, str]) -> None:
    result = tabrl(server[1], "evaluate", "policy-1", "--episodes", "2")
    assert result.exit_code == 0
    assert "episode 2: return 990.0, 1,000 steps" in result.output
    assert "return 990.0 ± 0.0 over 2 episodes" in result.output
    assert "upright 990.0" in result.output
