"""Judges the two sealed forms of a reward without any Python of its author: what they hold, and that they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation.rewards.container import ProgramHeader, ProgramRefused, pack
from tabrl_simulation.rewards.diagnostics import WARNING, Diagnostic, RewardRejected
from tabrl_simulation.rewards.inputs import shapes
from tabrl_simulation.rewards.onnx_form import OPSET
from tabrl_simulation.rewards.onnx_gate import check_onnx
from tabrl_simulation.rewards.program import RewardProgram
from tabrl_simulation.rewards.real_states import RealStates, RealStatesRefused
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.rewards.samples import KINDS, sample_states
from tabrl_simulation.rewards.trial import Trial, still_terms, tried

__all__ = ["Verified", "verify", "warm_up"]

_STATES = 96
_ABSOLUTE, _RELATIVE = 1e-5, 1e-4
_STATES_ON_AN_EDGE = 2
_LARGEST_SENSIBLE = 1e3

Floats = NDArray[np.float32]
Places = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Verified:
    """What was found: remarks that do not stop the reward, and how it fared on real states, where there were any."""

    remarks: list[Diagnostic]
    trial: Trial | None


def verify(program: bytes, onnx: bytes, robot: Robot, places: Places, recorded: bytes | None = None) -> Verified:
    """Return what was found.

    Args:
        program: the container of the sealed program.
        onnx: its ONNX form.
        robot: what it is for.
        places: line and column of each term.
        recorded: the file of the robot's real states (`real_states.RealStates`), where there is one.

    Raises:
        ProgramRefused: a form is malformed, holds what no reward needs, or is not for this robot.
        RewardRejected: a term is not finite in a state a robot can be in, or the two forms differ.
    """
    loaded = RewardProgram.from_bytes(program)
    _check_robot(loaded, robot)
    model = check_onnx(onnx, loaded.header)
    states, actions = sample_states(robot, _STATES)
    real = _read_states(recorded, loaded)
    values, real_values = _computed(loaded, states, actions, real)
    _check_finite(values, places, _made_up)
    _check_finite(real_values, places, _got_into)
    _check_agreement(values, _by_onnx(model, loaded.terms, states, actions), places)
    remarks = _remarks(values, places)
    if real is None:
        return Verified(remarks, None)
    trial = tried(real_values, real.driven)
    # A term that is the same in the made-up states too was remarked on already.
    moving = {name: place for name, place in places.items() if name in values and np.ptp(values[name])}
    return Verified([*remarks, *still_terms(trial, moving)], trial)


def warm_up() -> None:
    """Use everything that `verify` uses once, on a program of one term, so that it is imported and compiled before."""
    import onnx
    from jax import export

    (batch,) = export.symbolic_shape("b")
    abstract = jax.ShapeDtypeStruct((batch, 2), np.float32)
    exported = export.export(jax.jit(lambda action: (action[:, 0] * 2.0,)), platforms=["cpu", "cuda"])(abstract)
    header = ProgramHeader("", "", {}, 2, True, ("a",))
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("ReduceMax", ["action"], ["largest"], keepdims=0),
            onnx.helper.make_node("Identity", ["largest"], ["a"]),
        ],
        "warm",
        [tensor("action", onnx.TensorProto.FLOAT, (2,))],
        [tensor("a", onnx.TensorProto.FLOAT, ())],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    actions = np.ones((3, 2), np.float32)
    loaded = RewardProgram.from_bytes(pack(header, bytes(exported.serialize())))
    _by_program(loaded, {}, actions)
    _by_onnx(check_onnx(model.SerializeToString(), header), ("a",), {}, actions)


def _check_robot(program: RewardProgram, robot: Robot) -> None:
    readable = shapes(robot)
    if (program.environment_id, program.environment_fingerprint) != (
        robot.environment_id,
        robot.environment_fingerprint,
    ):
        raise ProgramRefused("the program is for another environment")
    if program.header.action_size != robot.action_size:
        raise ProgramRefused("the program takes actions of another size")
    for name, shape in program.inputs.items():
        if readable.get(name) != shape:
            raise ProgramRefused(f"the program reads {name!r} with the shape {shape}, which this robot does not have")


def _by_program(program: RewardProgram, states: Mapping[str, Floats], actions: Floats) -> dict[str, Floats]:
    inputs = {name: states[name] for name in program.inputs}
    computed = jax.jit(jax.vmap(program))(inputs, actions)
    return {name: np.asarray(computed[name]) for name in program.terms}


def _read_states(recorded: bytes | None, program: RewardProgram) -> RealStates | None:
    """Return recorded states if they hold what the program reads: a reward is not refused for want of them."""
    if recorded is None:
        return None
    try:
        states = RealStates.from_bytes(recorded)
        states.inputs(tuple(program.inputs))
    except (RealStatesRefused, KeyError):
        return None
    return states


def _computed(
    program: RewardProgram, states: Mapping[str, Floats], actions: Floats, real: RealStates | None
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return each term in the made-up states and in the real ones; both at once, as compiling costs most."""
    if real is None:
        return _by_program(program, states, actions), {}
    found = real.inputs(tuple(program.inputs))
    both = {name: np.concatenate([states[name], found[name]]) for name in program.inputs}
    values = _by_program(program, both, np.concatenate([actions, real.actions]))
    split = len(actions)
    return {name: each[:split] for name, each in values.items()}, {name: each[split:] for name, each in values.items()}


def _by_onnx(model: Any, terms: tuple[str, ...], states: Mapping[str, Floats], actions: Floats) -> dict[str, Floats]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime's own exceptions share no narrower base
        message = f"onnxruntime cannot load the reward's ONNX form: {str(e)[:200]}"
        raise RewardRejected([Diagnostic("no-onnx-form", 0, 0, message, "use simpler jnp functions")]) from e
    given = {**states, "action": actions}
    names = [value.name for value in session.get_inputs()]
    rows = [
        session.run(None, {name: np.asarray(given[name][index]) for name in names}) for index in range(len(actions))
    ]
    return {term: np.array([row[index] for row in rows], np.float32) for index, term in enumerate(terms)}


def _check_finite(values: Mapping[str, Floats], places: Places, where: Callable[[Floats], str]) -> None:
    """Refuse terms that are not finite; `where` says in which states, from a term's values in all of them."""
    remarks = []
    for term, found in values.items():
        if np.isfinite(found).all():
            continue
        what = "not a number" if np.isnan(found[~np.isfinite(found)][0]) else "infinite"
        message = f"the term {term!r} is {what} in {where(found)}"
        remedy = "guard divisions, roots and logarithms: jnp.maximum(x, 1e-6), jnp.clip(x, -1.0, 1.0)"
        remarks.append(Diagnostic("not-finite", *places.get(term, (0, 0)), message, remedy))
    if remarks:
        raise RewardRejected(remarks)


def _made_up(found: Floats) -> str:
    broken = np.flatnonzero(~np.isfinite(found))
    kind = KINDS[min(int(broken[0]) * len(KINDS) // len(found), len(KINDS) - 1)]
    return f"{broken.size} of {len(found)} tried states, first {kind}"


def _got_into(found: Floats) -> str:
    return f"{np.count_nonzero(~np.isfinite(found))} of {len(found)} states that the robot got into"


def _check_agreement(values: Mapping[str, Floats], others: Mapping[str, Floats], places: Places) -> None:
    remarks = []
    for term, found in values.items():
        differs = ~np.isclose(found, others[term], rtol=_RELATIVE, atol=_ABSOLUTE)
        # A state that lies on the edge of a comparison may fall to either side, and does so rarely.
        if np.count_nonzero(differs) > _STATES_ON_AN_EDGE:
            worst = float(np.max(np.abs(found - others[term])))
            message = f"the two sealed forms of the term {term!r} differ by up to {worst:.2g}"
            remarks.append(Diagnostic("forms-differ", *places.get(term, (0, 0)), message, "use simpler jnp functions"))
    if remarks:
        raise RewardRejected(remarks)


def _remarks(values: Mapping[str, Floats], places: Places) -> list[Diagnostic]:
    remarks = []
    for term, found in values.items():
        place = places.get(term, (0, 0))
        if np.ptp(found) == 0:
            message = f"the term {term!r} is {found[0]:g} in every tried state, so it teaches nothing"
            remarks.append(Diagnostic("constant-term", *place, message, "let it depend on the state", WARNING))
        elif float(np.median(np.abs(found))) > _LARGEST_SENSIBLE:
            message = f"the term {term!r} is about {float(np.median(np.abs(found))):.0f} in size"
            remarks.append(Diagnostic("large-term", *place, message, "scale it to about 1 a step", WARNING))
    return remarks
