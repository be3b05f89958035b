"""Makes an environment of a robot that no environment of Playground has, and trains it until it walks.

    python -m tabrl_simulation.benchmarks any_robot --menagerie FOLDER

The robot is ANYmal C as MuJoCo Menagerie has it, read by the jailed process that reads uploads; the configuration is
`any_robot.json`, the reward `any_robot_reward.txt`, in the reward language. What walks in the end is the exported
controller: an ONNX graph that drives MuJoCo C.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tabrl_simulation.benchmarks import walking
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence

__all__ = ["Walk", "keep_anymal", "main"]

_ROBOT: Final = "anybotics_anymal_c"
_SPEED_M_PER_S: Final = 0.5
_BASE: Final = "base"
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One training and what came of it.

    Attributes:
        seed: of the training.
        env_steps: control steps of the training.
        training_secs: wall-clock time of the training, compiling included.
        episodes: episodes of ten seconds played by the exported controller.
        falls: how many of them ended early.
        speeds_m_per_s: mean speed along the base's x axis after two seconds, of each that did not.
        parity: largest difference between the controller and its source.
        load_average: of the machine, at the end.
    """

    seed: int
    env_steps: int
    training_secs: float
    episodes: int
    falls: int
    speeds_m_per_s: tuple[float, ...]
    parity: float
    load_average: float


def main() -> None:
    """Runs the benchmark; writes `any_robot.json` and `any_robot.md`."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks any_robot", description=__doc__)
    menagerie = os.environ.get("MENAGERIE_ROOT")
    parser.add_argument("--menagerie", type=Path, default=menagerie, required=menagerie is None, help="a checkout")
    parser.add_argument("--env-steps", type=int, default=750_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--keep", type=Path, help="folder for the scene, the checkpoints and the sealed reward")
    arguments = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tabrl-any-robot-") as passing:
        folder = arguments.keep or Path(passing)
        os.environ["TABRL_SCENES"] = str(folder / "scenes")
        environment_id = keep_anymal(arguments.menagerie, folder / "scenes")
        walks = [_walk(environment_id, seed, arguments.env_steps, folder, arguments.out) for seed in arguments.seeds]
    described = machine()
    result = {"machine": described, "environment": environment_id, "walks": [asdict(walk) for walk in walks]}
    (arguments.out / "any_robot.json").write_text(json.dumps(result, indent=1) + "\n")
    (arguments.out / "any_robot.md").write_text(_page(described, walks))
    print((arguments.out / "any_robot.md").read_text())


def keep_anymal(menagerie: Path, scenes: Path) -> str:
    """Makes an environment of ANYmal C as Menagerie has it, in a folder of scenes; returns the environment's id."""
    return _kept(_packed(menagerie / _ROBOT), scenes)


def _packed(folder: Path) -> bytes:
    """Returns the robot's files as a person would zip them."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in (".xml", ".obj", ".png") and path.parent.name in (_ROBOT, "assets"):
                archive.write(path, str(path.relative_to(folder.parent)))
    return packed.getvalue()


def _kept(content: bytes, folder: Path) -> str:
    """Reads an upload in the jail and keeps it; returns the environment's id."""
    from tabrl_simulation.custom import store
    from tabrl_simulation.custom.config import SceneConfig
    from tabrl_simulation.custom.examining import examine

    config = SceneConfig.from_dict(json.loads((_HERE / "any_robot.json").read_text()))
    found = asyncio.run(examine(content, f"{_ROBOT}.zip", main=f"{_ROBOT}/scene.xml", config=config))
    scene = store.StoredScene(
        title="ANYmal C",
        source=f"{_ROBOT}.zip",
        config=found.config,
        xml=found.xml,
        assets=found.assets,
        facts=found.facts,
    )
    return store.write(folder, scene)


def _walk(environment_id: str, seed: int, env_steps: int, folder: Path, out: Path) -> Walk:
    from dataclasses import replace

    from tabrl.play.player import Controller

    from tabrl_simulation import environments
    from tabrl_simulation.controllers import build, parity
    from tabrl_simulation.rewards.compile import compile_reward
    from tabrl_simulation.rewards.from_model import robot_of
    from tabrl_simulation.rewards.program import RewardProgram
    from tabrl_simulation.settings import default_settings
    from tabrl_simulation.training import train

    environment = environments.load(environment_id)
    compiled = compile_reward((_HERE / "any_robot_reward.txt").read_text(), robot_of(environment))
    program = RewardProgram.from_bytes(compiled.program)
    settings = replace(default_settings(environment_id), env_steps=env_steps, seed=seed)
    begin = time.monotonic()
    result = train(
        environment,
        settings,
        reward=program,
        checkpoint_every_secs=1e9,
        metrics_every_secs=30.0,
        on_metrics=lambda metrics: print(
            f"seed {seed}: {metrics.env_steps:,} steps, return {metrics.episode_return}", flush=True
        ),
    )
    training_secs = time.monotonic() - begin
    (folder / f"checkpoint-{seed}").write_bytes(result.checkpoint.to_bytes())
    (folder / "reward").write_bytes(compiled.program)
    (folder / "reward.onnx").write_bytes(compiled.onnx)
    workbench = build.prepare(environment_id)
    reward = build.Reward(program=program, onnx=compiled.onnx, program_sha256=program.sha256, weights={})
    built = build.build_controller(workbench, result.checkpoint, reward, checkpoint_sha256="0" * 64)
    controller = Controller(built.onnx, built.manifest)
    report = parity.measure_parity(built.source, controller, workbench.environment.model)
    walks = walking.walk_from_each_start(controller, workbench.environment.model, _BASE)
    walking.draw(controller, workbench.environment.model, _BASE, out / f"any_robot-{seed}.png")
    return Walk(
        seed=seed,
        env_steps=result.checkpoint.env_steps,
        training_secs=training_secs,
        episodes=len(walks),
        falls=sum(walk.fell_after_secs is not None for walk in walks),
        speeds_m_per_s=tuple(walk.forward_m_per_s for walk in walks if walk.fell_after_secs is None),
        parity=max(output.max_difference for output in report.outputs),
        load_average=os.getloadavg()[0],
    )


def _page(described: dict[str, Any], walks: list[Walk]) -> str:
    rows = [
        f"| {walk.seed} | {walk.env_steps:,} | {walk.training_secs / 60:.1f} | {walk.episodes - walk.falls} of "
        f"{walk.episodes} | {_range(walk.speeds_m_per_s)} | {walk.parity:.1e} | {walk.load_average:.1f} |"
        for walk in walks
    ]
    return "\n".join(
        [
            "# Any robot: ANYmal C walks",
            "",
            "A scene of MuJoCo Menagerie, uploaded, configured and trained on MuJoCo C from a reward in the reward "
            f"language that asks for {_SPEED_M_PER_S} m/s. The exported controller then drives MuJoCo C for ten "
            "seconds.",
            "",
            "| seed | steps | minutes | ten seconds without falling | m/s forwards | parity | load |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "![Walking, every tenth of a second](any_robot-0.png)",
            "",
            sentence(described),
            "",
        ]
    )


def _range(values: tuple[float, ...]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}" if values else "none"


if __name__ == "__main__":
    main()
