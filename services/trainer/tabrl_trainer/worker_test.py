"""The real worker: a real training of a few updates, and jobs that cannot be done."""

import subprocess
import sys
from pathlib import Path

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.environments import DM_CONTROL
from tabrl_simulation.metrics import Metrics
from tabrl_simulation.term_statistics import TermStatistics
from tabrl_simulation.term_warnings import CONSTANT, TermWarning

from tabrl_trainer.protocol import EXIT_TRY_AGAIN, Job, MalformedLine, event_line, parse_event
from tabrl_trainer.speeds import RemainingTime, default_speed
from tabrl_trainer.worker import _metrics_message


def work(tmp_path: Path, *, resume_sha256: str = "", environment_id: str = "CartpoleBalance", **spec):
    settings = trainer_pb2.TrainingSettings(env_steps=2000, num_envs=16, unroll_length=20, num_minibatches=2)
    job = Job(
        spec=trainer_pb2.RunSpec(environment_id=environment_id, settings=settings, **spec),
        resume_sha256=resume_sha256,
        artifacts_url=str(tmp_path / "artifacts"),
        checkpoint_secs=0.0,
    )
    command = [sys.executable, "-m", "tabrl_trainer.worker"]
    done = subprocess.run(command, input=job.to_json().encode(), capture_output=True, check=False)
    return done, [parse_event(line) for line in done.stdout.splitlines()]


def test_a_worker_trains_to_the_end_and_resumes(tmp_path):
    done, events = work(tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert events[0].state_changed.state == trainer_pb2.RUN_STATE_RUNNING
    assert events[-1].state_changed.state == trainer_pb2.RUN_STATE_SUCCEEDED
    metrics = [event.metrics for event in events if event.HasField("metrics")]
    assert metrics[-1].env_steps >= 2000
    assert metrics[-1].remaining_secs == 0
    assert metrics[0].elapsed_secs > 0
    assert sum(term.share for term in metrics[-1].term_statistics.values()) == pytest.approx(1.0)
    assert metrics[-1].gradient_norm > 0
    checkpoints = [event.checkpoint for event in events if event.HasField("checkpoint")]
    assert [checkpoint.final for checkpoint in checkpoints] == [False] * (len(checkpoints) - 1) + [True]
    steps = [checkpoint.env_steps for checkpoint in checkpoints]
    assert steps == sorted(set(steps))
    store = ArtifactStore(tmp_path / "artifacts")
    assert Checkpoint.from_bytes(store.read(checkpoints[-1].artifact.sha256)).env_steps == steps[-1]
    # From the checkpoint in the middle on, the rest is trained, and no more.
    done, events = work(tmp_path, resume_sha256=checkpoints[2].artifact.sha256)
    resumed = [event.checkpoint.env_steps for event in events if event.HasField("checkpoint")]
    assert resumed == steps[3:]
    # As a starting point it leaves all steps to be trained, and what the run has learned itself counts more.
    start_from = trainer_pb2.StartingPoint(checkpoint_sha256=checkpoints[-1].artifact.sha256)
    done, events = work(tmp_path, start_from=start_from, resume_sha256=checkpoints[2].artifact.sha256)
    assert [event.checkpoint.env_steps for event in events if event.HasField("checkpoint")] == steps[3:]
    done, events = work(tmp_path, start_from=start_from)
    assert [event.checkpoint.env_steps for event in events if event.HasField("checkpoint")] == steps
    assert checkpoints[0].artifact.sha256 not in {event.checkpoint.artifact.sha256 for event in events}


@pytest.mark.parametrize(
    ("stored", "reward", "reason"),
    [
        (b"no checkpoint", False, "CHECKPOINT_INCOMPATIBLE"),
        (b"no reward", True, "REWARD_MISMATCH"),
        (None, False, "ARTIFACT_NOT_FOUND"),
    ],
)
def test_a_job_that_cannot_be_done_says_why(tmp_path, stored, reward, reason):
    store = ArtifactStore(tmp_path / "artifacts")
    sha256 = "0" * 64 if stored is None else store.put(stored).sha256
    if reward:
        done, events = work(tmp_path, reward=trainer_pb2.RewardRef(program_sha256=sha256, onnx_sha256=sha256))
    else:
        done, events = work(tmp_path, resume_sha256=sha256)
    assert done.returncode == 0, done.stderr.decode()
    (event,) = events
    assert event.state_changed.state == trainer_pb2.RUN_STATE_FAILED
    assert (event.state_changed.error.reason, bool(event.state_changed.error.message)) == (reason, True)


def test_a_robot_that_is_missing_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TABRL_ROBOTS", str(tmp_path / "none"))

    _done, (event,) = work(tmp_path, environment_id="Go1JoystickFlatTerrain")

    error = event.state_changed.error
    assert error.reason == "ROBOT_NOT_INSTALLED"
    assert "make up ROBOTS=1" in error.message


def test_a_store_that_cannot_be_used_is_no_failure_of_the_run(tmp_path):
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    done, events = work(tmp_path)
    assert (done.returncode, events) == (EXIT_TRY_AGAIN, [])
    assert done.stderr.decode().splitlines()[-1].startswith("STORAGE_UNAVAILABLE: ")


def test_the_time_left_follows_the_mean_speed():
    remaining = RemainingTime(total_env_steps=101_000, guess_env_steps_per_sec=10_000.0)
    # Nothing is known at first but the guess, however long loading took.
    assert remaining.after(1_000, 45.0) == pytest.approx(10.0)
    # 18,000 steps in 6 s, and 2 s at the guess: 38,000 steps in 8 s.
    assert remaining.after(19_000, 51.0) == pytest.approx(82_000 / (38_000 / 8))
    assert remaining.after(102_000, 90.0) == 0.0


def test_every_environment_has_a_speed():
    assert all(default_speed(environment_id).env_steps_per_sec > 1_000 for environment_id in DM_CONTROL)
    assert default_speed("CartpoleBalance").env_steps_per_sec > default_speed("HumanoidRun").env_steps_per_sec


def test_what_a_training_notices_is_told_as_the_contract_has_it():
    numbers = dict.fromkeys(
        ["policy_loss", "value_loss", "entropy", "kl", "env_steps_per_sec", "remaining_secs", "projected_return"], 0.5
    )
    statistics = TermStatistics(mean=1.0, std=0.0, share=0.25, least=1.0, greatest=1.0)
    warning = TermWarning(kind=CONSTANT, term="same", env_steps=50, text="It is always 1.")
    metrics = Metrics(
        env_steps=100,
        episode_return=None,
        episode_length=None,
        term_returns={},
        elapsed_secs=2.0,
        survival=0.5,
        term_statistics={"same": statistics},
        plateau_since_env_steps=40,
        warnings=(warning,),
        **numbers,
    )

    message = _metrics_message(metrics, loading_secs=3.0)

    assert (message.elapsed_secs, message.survival, message.HasField("episode_share")) == (5.0, 0.5, False)
    assert message.term_statistics["same"] == trainer_pb2.TermStatistics(mean=1, share=0.25, least=1, greatest=1)
    assert message.plateau_since_env_steps == 40
    assert list(message.warnings) == [
        trainer_pb2.TermWarning(
            kind=trainer_pb2.TERM_WARNING_KIND_CONSTANT, term="same", env_steps=50, text="It is always 1."
        )
    ]


def test_a_job_survives_its_text():
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", title="keep “upright”\n", settings={"seed": 3})
    spec.reward.weights["upright"] = 0.1
    job = Job(spec=spec, resume_sha256="", artifacts_url="/data/artifacts", checkpoint_secs=1.5)
    assert Job.from_json(job.to_json()) == job


def test_an_event_survives_its_line():
    event = trainer_pb2.RunEvent(metrics={"env_steps": 2**40, "kl": float("inf"), "term_returns": {"upright": 0.1}})
    line = event_line(event)
    assert line.count(b"\n") == 1
    assert parse_event(line) == event


@pytest.mark.parametrize("line", [b"", b"hello\n", b'{"nonsense": 1}\n', b"\xff\n"])
def test_what_is_no_event_is_refused(line):
    with pytest.raises(MalformedLine):
        parse_event(line)
