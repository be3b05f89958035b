"""The program against a real gRPC server that speaks the real contracts from inside the test."""

from __future__ import annotations

import importlib.metadata
import json
import re

import grpc
import pytest
import typer
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2
from typer.main import get_command
from typer.testing import CliRunner

from tabrl_cli import main, training, watch
from tabrl_cli.conftest import STEPS, TRY, Server, tabrl
from tabrl_cli.connection import Connection
from tabrl_cli.console import Output
from tabrl_cli.errors import CallError
from tabrl_cli.progress import RunProgress


def test_without_a_prompt_the_robots_own_task_is_trained(server: tuple[Server, str]) -> None:
    servicer, url = server
    result = tabrl(url, "try", "--env", "CartpoleBalance", "--steps", str(STEPS))
    assert result.exit_code == 0, result.output
    (created,) = servicer.created
    assert created.spec.environment_id == "CartpoleBalance"
    assert not created.spec.HasField("reward")
    assert "def reward" not in result.output


@pytest.mark.parametrize(
    ("name", "field"), [("run-1", "run_id"), ("policy-1", "policy_id"), ("ab" * 32, "checkpoint_sha256")]
)
def test_a_run_can_start_from_what_was_learned_before(server: tuple[Server, str], name: str, field: str) -> None:
    servicer, url = server
    result = tabrl(url, "try", "--env", "CartpoleBalance", "--steps", str(STEPS), "--from", name)
    assert result.exit_code == 0, result.output
    assert servicer.created[0].spec.start_from == trainer_pb2.StartingPoint(**{field: name})


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


def test_try_on_modal_says_what_it_costs_before_and_after(server: tuple[Server, str]) -> None:
    servicer, url = server
    servicer.cost_usd = 0.0987
    result = tabrl(url, *TRY, "--on", "modal", "--gpu", "L4", "--max-secs", "600")
    assert result.exit_code == 0, result.output
    assert "on Modal it costs about $0.12 ($4.50 an hour for L4, by list prices)" in result.output
    assert "it cost about $0.099 on Modal" in result.output
    assert servicer.created[0].spec.compute == trainer_pb2.Compute(
        executor=trainer_pb2.EXECUTOR_MODAL, gpu="L4", max_secs=600
    )


def test_an_estimate_starts_nothing(server: tuple[Server, str]) -> None:
    servicer, url = server
    result = tabrl(url, "estimate", "--env", "CartpoleBalance", "--on", "modal", "--gpu", "L4")
    assert result.exit_code == 0, result.output
    assert "Training takes about 1 min 40 s for 10,000 steps" in result.output
    assert "on Modal it costs about $0.12" in result.output
    assert servicer.created == []


@pytest.mark.parametrize(("answer", "started"), [("n\n", 0), ("y\n", 1), (None, 1)])
def test_on_a_terminal_what_costs_is_asked_for(
    server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch, answer: str | None, started: int
) -> None:
    servicer, url = server
    asked = []

    def confirm(question: str, *, abort: bool) -> None:
        asked.append(question)
        if answer == "n\n":
            raise typer.Abort

    monkeypatch.setattr(training, "is_asked", lambda _output: True)
    monkeypatch.setattr(training.typer, "confirm", confirm)
    tabrl(url, *TRY, "--on", "modal", *(["--yes"] if answer is None else []))
    assert len(asked) == (0 if answer is None else 1)
    assert len(servicer.created) == started


def test_a_title_is_shown_and_not_obeyed(server: tuple[Server, str]) -> None:
    servicer, url = server
    servicer.title = "\x1b[31mred\x1b]0;taken over\x07\nnext line"
    said = tabrl(url, "runs").output
    assert "\x1b" not in said
    assert "\ufffd[31mred\ufffd]0;taken over\ufffd next line" in said


def test_try_here_says_nothing_of_costs(server: tuple[Server, str]) -> None:
    servicer, url = server
    result = tabrl(url, *TRY)
    assert "cost" not in result.output
    assert not servicer.created[0].spec.HasField("compute")


def test_try_as_json_is_a_document_a_line(server: tuple[Server, str]) -> None:
    result = tabrl(server[1], *TRY, "--json")
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "stage"
    assert names[-1] == "result"
    assert (events[-1]["policy_id"], events[-1]["state"]) == ("policy-2", "RUN_STATE_SUCCEEDED")
    assert events[names.index("reward")]["reward"]["terms"][0]["name"] == "upright"


def test_a_run_that_falls_over_or_stands_still_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    progress = RunProgress(Output(as_json=False), total_steps=1_000)
    metrics = trainer_pb2.TrainingMetrics(env_steps=900, survival=0.25, episode_share=0.4, plateau_since_env_steps=600)
    for env_steps in (900, 910):
        metrics.env_steps = env_steps
        progress.event(trainer_pb2.RunEvent(metrics=metrics))
    said = capsys.readouterr().out
    assert "return ≈0.0  survives 25 %, 40 % of the time" in said
    assert said.count("the return has not improved since 600 steps") == 1


def test_an_easier_form_of_the_task_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = RunProgress(Output(as_json=False), total_steps=1_000)
    for env_steps in (100, 200):
        metrics = trainer_pb2.TrainingMetrics(env_steps=env_steps, easier_until_env_steps=650)
        progress.event(trainer_pb2.RunEvent(metrics=metrics))
    assert capsys.readouterr().out.count("an easier form of the task until step 650; returns are of that form") == 1


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


def test_the_version_is_said_without_a_gateway() -> None:
    result = CliRunner().invoke(main.app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"tabrl {importlib.metadata.version('tabrl-cli')}\n")


def test_help_lists_every_command_by_what_it_is_about() -> None:
    said = CliRunner().invoke(main.app, ["--help"]).output
    sections = re.findall(r"^(\w+):\n((?:  .*\n)+)", said, re.MULTILINE)
    listed = {section: re.findall(r"^  (\S+)", commands, re.MULTILINE) for section, commands in sections}
    assert list(listed) == ["Options", "Train", "Runs", "Rewards", "Robots", "Policies", "Share"]
    assert listed["Train"] == ["try", "estimate", "batch"]
    assert "watch" in listed["Runs"]
    assert "share-page" in listed["Share"]
    assert {name for names in listed.values() for name in names} >= set(get_command(main.app).commands)  # type: ignore[attr-defined]
