"""The policy's network alone, for those who have a control loop of their own: an observation in, an action out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["ACTION", "OBSERVATION", "network_onnx"]

OBSERVATION: Final = "obs"
"""The graph's input, [observation_size], float32: the observation as the environment gives it, not normalized."""

ACTION: Final = "action"
"""The graph's output, [action_size], float32."""


def network_onnx(policy: Callable[[Any], Any], *, observation_size: int, name: str) -> bytes:
    """Converts a deterministic, traceable policy with all that it does to an observation first.

    Args:
        policy: from an observation, [observation_size], to an action, [action_size]; float32.
        observation_size: length of its observation.
        name: name of the ONNX graph.

    Raises:
        UnsupportedStepError: the policy holds something that has no ONNX form here.
    """
    import jax2onnx
    import onnx
    from tabrl.play.manifest import Tensor

    from tabrl_simulation.controllers import lowering
    from tabrl_simulation.controllers.graph import OPSET
    from tabrl_simulation.controllers.source import aval_of
    from tabrl_simulation.rewards import onnx_plugins
    from tabrl_simulation.rewards.onnx_reciprocals import write_reciprocals

    onnx_plugins.load_lax_plugins()
    aval = aval_of(Tensor(OBSERVATION, (observation_size,), "float32"))
    program = lowering.trace(lambda observation: [policy(observation)], [aval])
    try:
        model = jax2onnx.to_onnx(
            lowering.rewrite(program, [True]),
            inputs=[aval],
            input_names=[OBSERVATION],
            output_names=[ACTION],
            model_name=name,
            opset=OPSET,
        )
    except (NotImplementedError, ValueError, TypeError) as error:
        raise lowering.UnsupportedStepError(f"The policy cannot be converted to ONNX: {error}") from error
    write_reciprocals(model.graph)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString(deterministic=True)
    return written
