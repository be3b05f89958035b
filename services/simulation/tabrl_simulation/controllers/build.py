"""Builds a controller: one ONNX graph of policy and environment with the manifest that a player needs.

What belongs to the environment alone (its split step, its scene, its reset states) is prepared once and shared by all
controllers of that environment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tabrl.play.compatibility import sizes_of
from tabrl.play.manifest import (
    FileReference,
    GraphInput,
    GraphOutput,
    InputSource,
    Lineage,
    Manifest,
    OutputRole,
    ResetState,
    Term,
)

from tabrl_simulation import bundle, environments, physics
from tabrl_simulation.controllers import description, graph
from tabrl_simulation.controllers.source import RewardTerms, Source, compose
from tabrl_simulation.licences import licences_of
from tabrl_simulation.reset import Resetter
from tabrl_simulation.rewards import onnx_gate
from tabrl_simulation.split import SplitStep, split

if TYPE_CHECKING:
    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.rewards.program import RewardProgram

__all__ = [
    "BuiltController",
    "Reward",
    "RewardMismatchError",
    "Workbench",
    "build",
    "build_controller",
    "prepare",
]

RESETS: Final = 16
"""Reset states in a manifest."""

_RESET_SEED: Final = 7


class RewardMismatchError(ValueError):
    """The reward is not the one that the checkpoint was trained with, or not of its environment."""


@dataclass(frozen=True)
class Reward:
    """A sealed reward in its two forms.

    Attributes:
        program: the `jax.export` form.
        onnx: the ONNX form, unbatched.
        program_sha256: digest of the first.
        weights: weight of each term; terms left out weigh 1.
    """

    program: RewardProgram
    onnx: bytes
    program_sha256: str
    weights: Mapping[str, float]

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms with their weights."""
        return tuple(Term(name, float(self.weights.get(name, 1.0))) for name in self.program.terms)


@dataclass(frozen=True)
class Workbench:
    """What all controllers of one environment share."""

    environment: environments.Environment
    step: SplitStep
    scene: bundle.SceneFiles
    resets: tuple[ResetState, ...]


@dataclass(frozen=True)
class BuiltController:
    """A controller with the function it should equal.

    Attributes:
        onnx: the graph.
        manifest: what its player needs.
        scene: the files that the manifest names by digest.
        source: the JAX function, with the reward's `jax.export` form.
    """

    onnx: bytes
    manifest: Manifest
    scene: bundle.SceneFiles
    source: Source


def prepare(environment_id: str) -> Workbench:
    """Loads an environment and all its controllers share; one to a few seconds.

    Raises:
        UnknownEnvironment: there is no such environment.
        SplitError: its step cannot be split.
    """
    import jax
    import numpy as np

    environment = environments.load(environment_id)
    states = Resetter(environment, threads=physics.cores()).sample(
        jax.random.split(jax.random.PRNGKey(_RESET_SEED), RESETS)
    )
    step = split(environment, privileged=False)
    resets = tuple(
        ResetState(
            data={name: np.asarray(values[index]) for name, values in states.state.items() if values[index].size},
            carry={name: np.asarray(states.carry[name][index]) for name in step.carry},
        )
        for index in range(RESETS)
    )
    return Workbench(environment, step, bundle.scene_bundle(environment), resets)


def build_controller(
    workbench: Workbench,
    checkpoint: Checkpoint,
    reward: Reward | None,
    *,
    checkpoint_sha256: str,
    lineage: Lineage | None = None,
) -> BuiltController:
    """Builds the controller of a checkpoint.

    Args:
        workbench: of the checkpoint's environment.
        checkpoint: the policy.
        reward: the reward it was trained for; None for the environment's own.
        checkpoint_sha256: digest of the checkpoint.
        lineage: where the checkpoint comes from, as far as its caller knows; its steps are those of the checkpoint.

    Raises:
        CheckpointError: the checkpoint is of another environment, or of another version of it.
        RewardMismatchError: the reward is not the checkpoint's, or not of this environment.
        UnsupportedStepError: the step has no ONNX form.
        ProgramRefused, RewardGraphError: the reward's ONNX form is none, or does not fit.
    """
    environment = workbench.environment
    checkpoint.require(environment)
    _check_reward(environment, checkpoint, reward)
    return build(
        workbench,
        checkpoint.policy(environment),
        reward,
        checkpoint_sha256=checkpoint_sha256,
        lineage=replace(lineage or Lineage(), env_steps=checkpoint.env_steps),
    )


def build(
    workbench: Workbench,
    policy: Callable[[Any], Any],
    reward: Reward | None,
    *,
    checkpoint_sha256: str = "",
    lineage: Lineage | None = None,
) -> BuiltController:
    """Builds the controller of any deterministic, traceable policy; raises as `build_controller` does on conversion."""
    import mujoco
    import onnxruntime

    environment = workbench.environment

    def composed(terms: RewardTerms | None) -> Source:
        return compose(environment, workbench.step, policy, action_repeat=environment.action_repeat, reward=terms)

    if reward is None:
        source = composed(None)
        converted = graph.convert(source, name=environment.id)
    else:
        source = composed(RewardTerms(reward.terms, reward.program.inputs, reward.program))
        opened = composed(RewardTerms(reward.terms, reward.program.inputs, None))
        reward_graph = onnx_gate.check_onnx(reward.onnx, reward.program.header)
        converted = graph.convert(opened, name=environment.id, reward_graph=reward_graph)
    manifest = Manifest(
        environment_id=environment.id,
        environment_fingerprint=environment.fingerprint,
        controller_sha256=hashlib.sha256(converted.onnx).hexdigest(),
        scene_xml=_reference(workbench.scene.xml.encode()),
        scene_assets={path: _reference(content) for path, content in workbench.scene.assets.items()},
        control_period_secs=environment.control_period_secs,
        physics_steps_per_control=environment.physics_steps_per_control,
        episode_length=environment.episode_length,
        action_repeat=environment.action_repeat,
        inputs=tuple(_with_unit(given) for given in converted.inputs),
        outputs=tuple(_with_unit(output) for output in converted.outputs),
        copies=converted.copies,
        resets=tuple(_first_tick(state, converted.inputs) for state in workbench.resets),
        terms=source.terms,
        onnx_opset=graph.OPSET,
        mujoco_version=mujoco.__version__,
        checkpoint_sha256=checkpoint_sha256,
        reward_program_sha256=reward.program_sha256 if reward else "",
        mujoco_versions=description.MUJOCO_VERSIONS,
        onnxruntime_version=onnxruntime.__version__,
        model=sizes_of(environment.model),
        actuators=description.actuators(environment.model),
        commands=description.commands(environment, converted.inputs),
        lineage=lineage or Lineage(),
        licences=licences_of(environment.id),
    )
    return BuiltController(converted.onnx, manifest, workbench.scene, source)


def _check_reward(environment: environments.Environment, checkpoint: Checkpoint, reward: Reward | None) -> None:
    trained_with = checkpoint.reward_program_sha256 or ""
    given = reward.program_sha256 if reward else ""
    if given != trained_with:
        raise RewardMismatchError(
            f"The checkpoint was trained with {_reward_name(trained_with)}, the call gives {_reward_name(given)}."
        )
    if reward is None:
        return
    program = reward.program
    if (program.environment_id, program.environment_fingerprint) != (environment.id, environment.fingerprint):
        raise RewardMismatchError(
            f"The reward was made for {program.environment_id} {program.environment_fingerprint[:12]}; "
            f"this is {environment.id} {environment.fingerprint[:12]}."
        )
    unknown = sorted(set(reward.weights) - set(program.terms))
    if unknown:
        raise RewardMismatchError(f"The reward has no term {', '.join(unknown)} to weigh.")
    for term in reward.terms:
        weight = checkpoint.weights.get(term.name, 1.0)
        if weight != term.weight:
            raise RewardMismatchError(
                f"The checkpoint was trained with weight {weight:g} for {term.name}, the call gives {term.weight:g}."
            )


def _reward_name(sha256: str) -> str:
    return f"the reward {sha256}" if sha256 else "the environment's own reward"


Described = TypeVar("Described", GraphInput, GraphOutput)


def _with_unit(described: Described) -> Described:
    is_data = isinstance(described, GraphInput) and described.source in (InputSource.DATA, InputSource.DATA_BEFORE)
    is_state = isinstance(described, GraphOutput) and described.role in (OutputRole.STATE, OutputRole.PUSH)
    return replace(described, unit=description.UNITS.get(described.field, "")) if is_data or is_state else described


def _first_tick(state: ResetState, inputs: tuple[GraphInput, ...]) -> ResetState:
    """Returns the reset state with just the carry entries that the graph reads; ours start at 0."""
    carry = {
        given.field: state.carry.get(given.field, given.tensor.zeros())
        for given in inputs
        if given.source is InputSource.CARRY
    }
    return ResetState(state.data, carry)


def _reference(content: bytes) -> FileReference:
    return FileReference(hashlib.sha256(content).hexdigest(), len(content))
