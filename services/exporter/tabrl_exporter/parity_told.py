"""How close a controller is to its source, as the export process tells the service of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabrl_exporter import exchange

if TYPE_CHECKING:
    from tabrl_simulation.controllers.closed_loop import ClosedLoop
    from tabrl_simulation.controllers.formats import FormReport
    from tabrl_simulation.controllers.parity import ParityReport

__all__ = ["parity_told"]

_EPISODE = (
    "reset",
    "controller_return",
    "source_return",
    "controller_steps",
    "source_steps",
    "together_secs",
    "twin_together_secs",
)


def parity_told(report: ParityReport | FormReport, *, onnx_opset: int, passed: bool = True) -> exchange.Parity:
    """Returns a report with the versions of what it was measured with here.

    Args:
        report: what was measured.
        onnx_opset: the opset of the file.
        passed: whether the file may be given away.
    """
    import mujoco
    import onnxruntime
    from tabrl_simulation.controllers import exactness

    return exchange.Parity(
        states=report.states,
        tolerance=exactness.TOLERANCE,
        outputs={output.name: (output.max_difference, output.tolerance) for output in report.outputs},
        onnxruntime_version=onnxruntime.__version__,
        jax_version=report.jax_version,
        mujoco_version=mujoco.__version__,
        onnx_opset=onnx_opset,
        passed=passed,
        closed_loop=_fields(report.closed_loop),
    )


def _fields(closed: ClosedLoop | None) -> dict[str, Any] | None:
    """Returns the fields of the contract's ClosedLoopReport by name; None where no closed loop was tried."""
    if closed is None:
        return None
    return {
        "secs": closed.secs,
        "episodes": [{name: getattr(episode, name) for name in _EPISODE} for episode in closed.episodes],
        "passed": closed.passed,
        "reason": closed.reason,
        "return_tolerance": closed.return_tolerance,
    }
