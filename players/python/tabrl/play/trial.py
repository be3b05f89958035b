"""Plays a bundle that was read for a moment, to see whether it can be played at all.

MuJoCo and onnxruntime are C++ that was not written against enemies, so whoever tries a stranger's bundle does it in a
process that can reach nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from tabrl.play.bundle import Bundle
from tabrl.play.loading import load
from tabrl.play.manifest import InputSource
from tabrl.play.player import Player, Tick
from tabrl.play.refusal import BundleError

__all__ = ["TICKS", "try_out"]

TICKS: Final = 20
"""Control periods that are played."""

_RESETS: Final = 2


def try_out(bundle: Bundle, *, ticks: int = TICKS) -> None:
    """Loads the scene and the graph, and plays the first control periods from the first reset states.

    Raises:
        BundleError: TRIAL_SCENE or TRIAL_GRAPH when MuJoCo or onnxruntime refuses it, TRIAL_SIZES when scene, manifest
            and graph do not fit each other, TRIAL_NOT_FINITE when a number is none.
    """
    player = load(bundle)
    _check_sizes(bundle, player.data)
    for reset in range(min(_RESETS, len(bundle.manifest.resets))):
        _play(player, reset, ticks)


def _check_sizes(bundle: Bundle, data: object) -> None:
    manifest = bundle.manifest
    for given in manifest.inputs:
        if given.source in (InputSource.DATA, InputSource.DATA_BEFORE):
            array = getattr(data, given.field, None)
            if not isinstance(array, np.ndarray) or array.size != np.prod(given.tensor.shape, dtype=int):
                raise _misfit(f"the scene has no {given.field} of shape {list(given.tensor.shape)}")
    for number, reset in enumerate(manifest.resets):
        for name, value in reset.data.items():
            if getattr(data, name).size != value.size:
                raise _misfit(
                    f"{name} of reset {number} has {value.size} numbers, the scene {getattr(data, name).size}"
                )
    for output in manifest.outputs:
        name = "ctrl" if output.role.name == "CTRL" else output.field
        is_written = output.role.name in ("CTRL", "STATE", "PUSH")
        if is_written and np.shape(getattr(data, name)) != output.tensor.shape:
            raise _misfit(f"{name} is of shape {list(np.shape(getattr(data, name)))}, the graph writes another")


def _play(player: Player, reset: int, ticks: int) -> None:
    try:
        with np.errstate(all="ignore"):
            for tick in player.episode(reset=reset):
                _check_finite(tick)
                if tick.step >= ticks:
                    return
    except BundleError:
        raise
    except Exception as error:  # onnxruntime's own exceptions share no narrower base
        raise BundleError("TRIAL_GRAPH", f"it cannot be played: {_said(error)}", "controller.onnx") from error


def _check_finite(tick: Tick) -> None:
    for name, value in (*tick.outputs.items(), ("the robot", tick.qpos)):
        if not np.isfinite(np.asarray(value, np.float64)).all():
            raise BundleError("TRIAL_NOT_FINITE", f"{name} is not finite at tick {tick.step}", "controller.onnx")


def _misfit(message: str) -> BundleError:
    return BundleError("TRIAL_SIZES", message, "manifest.json")


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
