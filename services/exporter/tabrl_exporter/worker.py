"""The export process: takes orders on stdin, one line each, and answers on stdout. Not for people to start.

It alone imports jax. It keeps what all controllers of an environment share, so that the next checkpoint of a run is
exported in about a second.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tabrl_chassis.processes import die_with_parent

from tabrl_exporter import exchange, reformatting
from tabrl_exporter.parity_told import parity_told
from tabrl_exporter.reward_files import read_reward
from tabrl_exporter.workbenches import bench_of

if TYPE_CHECKING:
    from tabrl_simulation.controllers.build import BuiltController, Workbench

__all__ = ["main"]


def main() -> None:
    """Carry out orders until stdin ends."""
    die_with_parent()
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # XLA tells at length of harmless differences between processors, the ONNX writer of values without a type.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)
    benches: dict[str, Workbench] = {}
    for line in sys.stdin.buffer:
        answers.write(exchange.to_line(_answer(line, benches)))


def _answer(line: bytes, benches: dict[str, Workbench]) -> exchange.Exported | exchange.Reformatted | exchange.Refusal:
    try:
        order = exchange.parse_order(line)
        if isinstance(order, exchange.Reformat):
            return reformatting.carry_out(order, benches)
        return _carry_out(order, benches)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return exchange.Refusal("INTERNAL", traceback.format_exc(), {})
        message = "The disk that holds the data folder is full; free some space and try again."
        return exchange.Refusal("STORAGE_FULL", message, {})
    except Exception:  # a defect of ours: the service logs it and answers INTERNAL
        return exchange.Refusal("INTERNAL", traceback.format_exc(), {})


def _carry_out(order: exchange.Export, benches: dict[str, Workbench]) -> exchange.Exported | exchange.Refusal:
    from tabrl.play.manifest import Lineage
    from tabrl_simulation import training
    from tabrl_simulation.checkpoint import Checkpoint, CheckpointError
    from tabrl_simulation.controllers import build
    from tabrl_simulation.controllers.merge import RewardGraphError
    from tabrl_simulation.environments import MissingRobot
    from tabrl_simulation.rewards.container import ProgramRefused

    training.use_compilation_cache()
    try:
        checkpoint = Checkpoint.from_bytes(Path(order.checkpoint).read_bytes())
        bench = bench_of(order.environment_id, benches)
        reward = read_reward(order.reward)
        made = build.build_controller(
            bench,
            checkpoint,
            reward,
            checkpoint_sha256=order.checkpoint_sha256,
            lineage=Lineage(**asdict(order.origin)),
        )
    except MissingRobot as error:
        return exchange.Refusal("ROBOT_NOT_INSTALLED", str(error), {}, {"robot": error.robot, "remedy": error.remedy})
    except CheckpointError as error:
        return exchange.Refusal("CHECKPOINT_INCOMPATIBLE", str(error), {})
    except (build.RewardMismatchError, ProgramRefused, RewardGraphError) as error:
        return exchange.Refusal("REWARD_MISMATCH", str(error), {})
    return _published(order, bench, made, checkpoint.env_steps)


def _published(
    order: exchange.Export, bench: Workbench, made: BuiltController, env_steps: int
) -> exchange.Exported | exchange.Refusal:
    """Compares the controller with its source, and writes its files if they agree."""
    from tabrl.play import manifest_json
    from tabrl_simulation.controllers import parity

    report = parity.measure(bench, made)
    told = parity_told(report, onnx_opset=report.onnx_opset, passed=report.passed)
    if not report.passed:
        return exchange.Refusal(
            "PARITY_FAILED",
            f"The controller differs from its source: {report.reason}. Nothing was published.",
            {
                output.name: f"differs by {output.max_difference:.2g}, allowed {output.tolerance:.2g}"
                for output in report.moved
            },
            parity=told,
        )
    folder = Path(order.folder)
    (folder / "controller.onnx").write_bytes(made.onnx)
    (folder / "manifest.json").write_text(manifest_json.dumps(made.manifest))
    (folder / "scene.xml").write_text(made.scene.xml)
    names = []
    for number, content in enumerate(made.scene.assets.values()):
        names.append(f"asset-{number}")
        (folder / names[-1]).write_bytes(content)
    return exchange.Exported(parity=told, env_steps=env_steps, assets=tuple(names))


if __name__ == "__main__":
    main()
