"""The export process's part in writing a policy in another form: files in, files and the measured difference out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tabrl_exporter import exchange
from tabrl_exporter.parity_told import parity_told
from tabrl_exporter.reward_files import read_reward
from tabrl_exporter.workbenches import bench_of

if TYPE_CHECKING:
    from tabrl_simulation.controllers.build import Workbench
    from tabrl_simulation.controllers.formats import Form, Made, Published
    from tabrl_simulation.controllers.source import Source

__all__ = ["carry_out"]


def carry_out(order: exchange.Reformat, benches: dict[str, Workbench]) -> exchange.Reformatted | exchange.Refusal:
    """Writes a policy in another form, measures it, and refuses to give it away when it is too far off.

    Args:
        order: what to write.
        benches: what controllers of an environment share, by environment; added to.
    """
    from tabrl.play import manifest_json
    from tabrl.play.compatibility import ControllerError
    from tabrl_simulation import training
    from tabrl_simulation.bundle import SceneFiles
    from tabrl_simulation.controllers import formats

    training.use_compilation_cache()
    form = formats.Form(order.form)
    published = formats.Published(
        Path(order.controller).read_bytes(),
        manifest_json.loads(Path(order.manifest).read_bytes()),
        SceneFiles(
            Path(order.scene).read_text(encoding="utf-8"),
            {name: Path(path).read_bytes() for name, path in order.assets.items()},
        ),
    )
    made: Made | exchange.Refusal
    try:
        if form.is_controller:
            made = formats.make_controller(form, published, _origin(order, benches))
        else:
            made = _network(order, form, published, benches)
    except ControllerError as error:
        message = f"The published controller cannot be played here, so no other form can be measured: {error}"
        return exchange.Refusal("CONTROLLER_INCOMPATIBLE", message, {}, {"field": error.field})
    if isinstance(made, exchange.Refusal):
        return made
    if not formats.acceptable(made.report):
        return _refusal(form, made)
    return _written(order, made)


def _network(
    order: exchange.Reformat, form: Form, published: Published, benches: dict[str, Workbench]
) -> Made | exchange.Refusal:
    from tabrl_simulation.checkpoint import Checkpoint, CheckpointError
    from tabrl_simulation.controllers import formats
    from tabrl_simulation.controllers.lowering import UnsupportedStepError
    from tabrl_simulation.environments import MissingRobot, UnknownEnvironment
    from tabrl_simulation.split import SplitError

    try:
        return formats.make_network(
            form,
            published,
            Checkpoint.from_bytes(Path(order.checkpoint).read_bytes()),
            bench_of(order.environment_id, benches).environment,
            checkpoint_sha256=order.checkpoint_sha256,
        )
    except MissingRobot as error:
        metadata = {"robot": error.robot, "remedy": error.remedy}
        return exchange.Refusal("ROBOT_NOT_INSTALLED", str(error), {}, metadata)
    except (CheckpointError, UnknownEnvironment, UnsupportedStepError, SplitError) as error:
        return exchange.Refusal("CHECKPOINT_INCOMPATIBLE", str(error), {})


def _origin(order: exchange.Reformat, benches: dict[str, Workbench]) -> tuple[Workbench, Source] | None:
    """Returns what the controller was made from; None where this machine cannot make it any more."""
    from tabrl_simulation.checkpoint import Checkpoint, CheckpointError
    from tabrl_simulation.controllers import build
    from tabrl_simulation.controllers.lowering import UnsupportedStepError
    from tabrl_simulation.controllers.merge import RewardGraphError
    from tabrl_simulation.environments import MissingRobot, UnknownEnvironment
    from tabrl_simulation.rewards.container import ProgramRefused
    from tabrl_simulation.split import SplitError

    if not order.checkpoint:
        return None
    try:
        checkpoint = Checkpoint.from_bytes(Path(order.checkpoint).read_bytes())
        bench = bench_of(order.environment_id, benches)
        reward = read_reward(order.reward)
        made = build.build_controller(bench, checkpoint, reward, checkpoint_sha256=order.checkpoint_sha256)
    except (
        MissingRobot,
        UnknownEnvironment,
        CheckpointError,
        build.RewardMismatchError,
        ProgramRefused,
        RewardGraphError,
        UnsupportedStepError,
        SplitError,
    ):
        # The environment has changed since, or its robot is gone; the published controller is as it was.
        return None
    return bench, made.source


def _refusal(form: Form, made: Made) -> exchange.Refusal:
    report = made.report
    return exchange.Refusal(
        "PARITY_FAILED",
        f"As {form.value} the policy does something else: {report.reason}. Nothing was stored; take a form with more "
        "exact weights.",
        {
            output.name: f"differs by {output.max_difference:.2g}, allowed {output.tolerance:.2g}"
            for output in report.moved
        },
        {"form": form.value},
    )


def _written(order: exchange.Reformat, made: Made) -> exchange.Reformatted:
    from tabrl.play import manifest_json
    from tabrl_simulation.controllers import graph

    folder = Path(order.folder)
    (folder / "file").write_bytes(made.content)
    if made.manifest is not None:
        (folder / "manifest.json").write_text(manifest_json.dumps(made.manifest), encoding="utf-8")
    opset = made.manifest.onnx_opset if made.manifest else graph.OPSET
    return exchange.Reformatted(parity_told(made.report, onnx_opset=opset), has_manifest=made.manifest is not None)
