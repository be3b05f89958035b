"""From a verified bundle to a robot that can be played."""

from __future__ import annotations

from tabrl.play.bundle import Bundle
from tabrl.play.player import Controller, Player
from tabrl.play.refusal import BundleError

__all__ = ["load"]


def load(bundle: Bundle, *, threads: int = 1) -> Player:
    """Returns a player with the bundle's scene in MuJoCo and its graph in onnxruntime.

    Args:
        bundle: what `read_bundle` returned.
        threads: threads that one decision may use.

    Raises:
        BundleError: MuJoCo (TRIAL_SCENE) or onnxruntime (TRIAL_GRAPH) refuses it, or it was made for another MuJoCo or
            another model than its scene's (TRIAL_SCENE, of the manifest).
    """
    import mujoco
    from tabrl.play.player import ControllerError

    try:
        model = mujoco.MjModel.from_xml_string(bundle.scene_xml, bundle.scene_assets)
    except (ValueError, mujoco.FatalError) as error:
        message = f"MuJoCo {mujoco.__version__} refuses it: {_said(error)}"
        raise BundleError("TRIAL_SCENE", message, "scene/scene.xml") from error
    try:
        controller = Controller(bundle.controller, bundle.manifest, threads=threads)
    except ControllerError as error:
        raise BundleError("TRIAL_GRAPH", _said(error), "controller.onnx") from error
    try:
        return Player(controller, model)
    except ControllerError as error:
        raise BundleError("TRIAL_SCENE", _said(error), "manifest.json") from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
