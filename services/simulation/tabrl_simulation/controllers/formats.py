"""Other forms of a published policy, each with how far it is from the float32 one: what `ExportPolicy` gives.

A controller with smaller weights is measured as the controller itself was, over states of its own rollout. The network
alone is given the observations of such a rollout.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from tabrl.play.manifest import Format, Manifest, OutputRole
from tabrl.play.player import Controller

from tabrl_simulation import bundle
from tabrl_simulation.controllers import exactness, network, network_zip, weights
from tabrl_simulation.controllers.exactness import (
    TOLERANCE,
    Difference,
    allowed_by_rounding,
    label,
    relative_difference,
    rollout,
)

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.controllers.build import Workbench
    from tabrl_simulation.controllers.closed_loop import ClosedLoop
    from tabrl_simulation.controllers.source import Source
    from tabrl_simulation.environments import Environment

__all__ = [
    "ACTION_BOUNDS",
    "STATES",
    "Form",
    "FormReport",
    "Made",
    "Published",
    "acceptable",
    "make_controller",
    "make_network",
]

STATES: Final = 200
"""States compared at least."""

_ACTION: Final = "action"
_PUBLISHED: Final = "action of the published controller"


class Form(enum.Enum):
    """Form in which a policy can be had beside its controller."""

    FP16 = "fp16"
    INT8 = "int8"
    POLICY = "policy"
    WEIGHTS = "weights"

    @property
    def is_controller(self) -> bool:
        """Whether it is a controller, with a manifest, and can be made without the checkpoint."""
        return self in ACTION_BOUNDS


ACTION_BOUNDS: Final[Mapping[Form, float]] = {Form.FP16: 0.01, Form.INT8: 0.1}
"""Largest difference of an action, whose elements lie between -1 and 1, at the same state."""


@dataclass(frozen=True)
class Published:
    """A controller as it was published: graph, manifest and the scene that the manifest names."""

    onnx: bytes
    manifest: Manifest
    scene: bundle.SceneFiles


@dataclass(frozen=True)
class FormReport:
    """How far a policy in another form is from its source.

    Attributes:
        states: how many were compared.
        outputs: the differences.
        jax_version: jax that ran the source; empty where the float32 controller stood in for it.
        closed_loop: what became of the robot that it drove, for a controller.
    """

    states: int
    outputs: tuple[Difference, ...]
    jax_version: str
    closed_loop: ClosedLoop | None = None

    @property
    def reason(self) -> str:
        """What is further off than is allowed, in words; empty when nothing is."""
        if self.moved:
            return exactness.in_words(self.moved[0], self.states)
        return self.closed_loop.reason if self.closed_loop else ""

    @property
    def moved(self) -> tuple[Difference, ...]:
        """The outputs beyond what is allowed, the furthest first."""
        return exactness.moved(self.outputs)


@dataclass(frozen=True)
class Made:
    """A policy in another form: the file, the manifest where it is a controller, and how far it is off."""

    content: bytes
    manifest: Manifest | None
    report: FormReport


def acceptable(report: FormReport) -> bool:
    """Whether a policy in another form may be given away.

    At each state the action may differ by the bound of its form, and what does not follow from the action by what is
    allowed for float32. The robot that a controller drives must earn as much as with its source and stand as long.
    """
    return not report.reason


def make_controller(form: Form, published: Published, origin: tuple[Workbench, Source] | None) -> Made:
    """Stores a controller's weights in another form, and measures what that changes.

    Args:
        form: FP16 or INT8.
        published: the float32 controller.
        origin: the environment's workbench and the JAX function that it was made from. None where the checkpoint is
            not at hand, as with an imported policy: then the float32 controller in onnxruntime, which was once measured
            against the function, stands in for it.
    """
    manifest = published.manifest
    action = next(output.tensor.name for output in manifest.outputs if output.role is OutputRole.ACTION)
    write = {Form.FP16: weights.with_float16_weights, Form.INT8: weights.with_int8_weights}[form]
    content = write(published.onnx, action=action)
    described = _manifest_of(manifest, form, content)
    controller, model = Controller(content, described), bundle.load_scene(published.scene)
    source = origin[1] if origin else None
    states, differences, jax_version = _controller_differences(published, controller, model, source)
    bound = ACTION_BOUNDS[form]
    # The ctrl is the action brought to the actuators' ranges, and so is its difference.
    allowed = {"action": bound, "ctrl": bound * _ctrl_scale(model), "carry": bound * _ctrl_scale(model)}
    outputs = tuple(
        Difference(name, difference, allowed.get(name.partition(".")[0], tolerance))
        for name, (difference, tolerance) in differences.items()
    )
    closed = _closed_loop(published, controller, model, origin)
    return Made(content, described, FormReport(states, outputs, jax_version, closed))


def make_network(
    form: Form, published: Published, checkpoint: Checkpoint, environment: Environment, *, checkpoint_sha256: str
) -> Made:
    """Writes the network of a checkpoint, and compares it with the checkpoint's policy in JAX.

    It is compared with the published controller too: what the manifest says of its checkpoint may be somebody's word.

    Args:
        form: POLICY or WEIGHTS.
        published: the controller of the checkpoint; its rollout is where the observations come from.
        checkpoint: the policy.
        environment: the checkpoint's environment.
        checkpoint_sha256: digest of the checkpoint.

    Raises:
        CheckpointError: the checkpoint is of another environment, or of another version of it.
        UnsupportedStepError: the policy has no ONNX form.
    """
    import jax

    policy = checkpoint.policy(environment)
    controller = Controller(published.onnx, published.manifest)
    ticks = rollout(controller, bundle.load_scene(published.scene), states=STATES)
    observations = np.stack([tick.decision.observation for tick in ticks])
    if form is Form.POLICY:
        content = network.network_onnx(policy, observation_size=environment.observation_size, name=environment.id)
        actual = _network_actions(content, observations)
    else:
        content = network_zip.network_zip(checkpoint, checkpoint_sha256=checkpoint_sha256)
        actual = network_zip.action_of(content, observations)
    expected = np.asarray(jax.jit(jax.vmap(policy))(observations))
    with jax.enable_x64(True):
        exact = np.asarray(jax.jit(jax.vmap(policy))(observations.astype(np.float64)))
    # Large weights amplify the rounding of float32, in the source as well.
    tolerance = allowed_by_rounding(exact, expected)
    # Between two choices the controller holds its action.
    choosing = [index for index, tick in enumerate(ticks) if tick.step % published.manifest.action_repeat == 0]
    chosen = np.stack([ticks[index].decision.action for index in choosing])
    differences = (
        Difference(_ACTION, relative_difference(expected, actual), tolerance),
        Difference(_PUBLISHED, relative_difference(chosen, actual[choosing]), tolerance),
    )
    return Made(content, None, FormReport(len(ticks), differences, jax.__version__))


def _manifest_of(manifest: Manifest, form: Form, onnx: bytes) -> Manifest:
    """Returns the manifest of the same controller in another form."""
    stored = {Form.FP16: Format.FP16, Form.INT8: Format.INT8}[form]
    return replace(manifest, controller_sha256=hashlib.sha256(onnx).hexdigest(), format=stored)


def _closed_loop(
    published: Published, controller: Controller, model: mujoco.MjModel, origin: tuple[Workbench, Source] | None
) -> ClosedLoop:
    """Lets a controller drive beside what it was made from; it need not go the same way, but earn and last alike."""
    from tabrl_simulation.controllers import closed_loop

    if origin is None:
        reference = Controller(published.onnx, published.manifest)
        return closed_loop.compare_controllers(controller, reference, model)
    from tabrl_simulation.controllers.source_runs import BatchedSource

    workbench, source = origin
    return closed_loop.compare(workbench, BatchedSource(source), controller, model, by_path=False)[0]


Differences = dict[str, tuple[float, float]]
"""Largest difference of each output, and what is allowed for it where nothing but float32 rounding moves it."""


def _controller_differences(
    published: Published, controller: Controller, model: mujoco.MjModel, source: Source | None
) -> tuple[int, Differences, str]:
    """Returns over how many states which output differs how far, and the version of the jax that ran the source."""
    if source is not None:
        import jax

        from tabrl_simulation.controllers import parity

        report = parity.measure_parity(source, controller, model, states=STATES)
        return (
            report.states,
            {output.name: (output.max_difference, output.tolerance) for output in report.outputs},
            jax.__version__,
        )
    reference = Controller(published.onnx, published.manifest)
    differences: Differences = {}
    ticks = rollout(controller, model, states=STATES)
    for tick in ticks:
        expected = reference.run(tick.feed)
        for output in published.manifest.outputs:
            name = output.tensor.name
            before, _ = differences.get(label(output), (0.0, TOLERANCE))
            found = relative_difference(expected[name], tick.outputs[name])
            differences[label(output)] = (max(before, found), TOLERANCE)
    return len(ticks), differences, ""


def _ctrl_scale(model: mujoco.MjModel) -> float:
    """Returns by how much an action is magnified on its way to the ctrl, at most; 1 for actuators without limits."""
    limited = np.asarray(model.actuator_ctrlrange)[np.asarray(model.actuator_ctrllimited, bool)]  # [limited, 2]
    return float(np.max((limited[:, 1] - limited[:, 0]) / 2, initial=1.0))


def _network_actions(onnx: bytes, observations: NDArray[Any]) -> NDArray[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.load_model_format", "ONNX")
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    return np.stack([session.run([network.ACTION], {network.OBSERVATION: each})[0] for each in observations])
