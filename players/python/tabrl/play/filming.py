"""Pictures and videos of a robot. `MUJOCO_GL` must say what draws before MuJoCo is imported: see `opengl`."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mujoco

__all__ = ["Camera", "FilmError", "require_video_format", "save_picture", "save_video"]

Picture = NDArray[np.uint8]

_VIDEO_SUFFIXES: Final = (".webp", ".gif", ".mp4")
_QUALITY: Final = 75
# Software draws this many triangles with shadows in a tenth of a second or two.
_MOST_FACES_WITH_SHADOWS: Final = 60_000
_ELEVATION_DEG: Final = -18.0
_AZIMUTH_DEG: Final = 125.0


class FilmError(ValueError):
    """A picture or video cannot be made as asked; the message says what to do."""


class Camera:
    """Looks at a robot, and goes with it where it can go anywhere."""

    def __init__(self, model: mujoco.MjModel, *, width: int, height: int) -> None:
        """Gets ready to draw pictures of `width` by `height` pixels."""
        import mujoco

        model = copy.copy(model)
        # MuJoCo draws into a buffer of the size that the scene says, often that of a large screen.
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        with_shadows = _faces(model) <= _MOST_FACES_WITH_SHADOWS
        model.vis.quality.offsamples = 4 if with_shadows else 2
        model.vis.quality.shadowsize = 1024
        self._renderer = mujoco.Renderer(model, height, width)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = with_shadows
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = with_shadows
        self._view = _view(model)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the drawing buffers back."""
        self._renderer.close()

    def picture(self, data: mujoco.MjData) -> Picture:
        """Returns what it sees, [height, width, 3] sRGB."""
        self._renderer.update_scene(data, self._view)
        return np.array(self._renderer.render())


def _view(model: mujoco.MjModel) -> Any:
    """Returns the scene's own camera that follows the robot, or one that follows the first body that moves freely."""
    import mujoco

    following = (mujoco.mjtCamLight.mjCAMLIGHT_TRACK, mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM)
    for number in range(model.ncam):
        if model.cam_mode[number] in following:
            return number
    view = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, view)
    view.azimuth, view.elevation = _AZIMUTH_DEG, _ELEVATION_DEG
    free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
    if free.size and int(model.jnt_bodyid[free[0]]) == 1:
        view.type = mujoco.mjtCamera.mjCAMERA_TRACKING
        view.trackbodyid = 1
    return view


def _faces(model: mujoco.MjModel) -> int:
    """Returns how many triangles the meshes of a scene come to, each as often as it is drawn."""
    import mujoco

    drawn = (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH) & (model.geom_group < 3)
    return int(sum(model.mesh_facenum[mesh] for mesh in model.geom_dataid[drawn]))


def save_picture(picture: Picture, path: Path) -> None:
    """Writes a picture as WebP or PNG, by the name's ending."""
    from PIL import Image

    image = Image.fromarray(picture)
    if path.suffix == ".png":
        image.save(path, optimize=True)
    else:
        image.save(path, quality=_QUALITY, method=4)


def require_video_format(path: Path) -> None:
    """Checks that a video can be written under this name, before time is spent on drawing it.

    Raises:
        FilmError: there is no such format, or what writes it is not installed.
    """
    if path.suffix not in _VIDEO_SUFFIXES:
        raise FilmError(f"{path.name}: a video ends in {', '.join(_VIDEO_SUFFIXES)}")
    if path.suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise FilmError("MP4 needs the package imageio-ffmpeg: `pip install imageio-ffmpeg`, or name a .webp or .gif")


def save_video(pictures: list[Picture], path: Path, *, frame_secs: float) -> None:
    """Writes pictures that follow each other as a video.

    Args:
        pictures: at least one, [height, width, 3] each.
        path: where to; the ending says the format.
        frame_secs: how long each is shown.

    Raises:
        FilmError: as `require_video_format`.
    """
    require_video_format(path)
    if path.suffix == ".mp4":
        _save_mp4(pictures, path, frame_secs)
        return
    from PIL import Image

    images = [Image.fromarray(picture) for picture in pictures]
    options: dict[str, Any] = {"quality": _QUALITY, "method": 2} if path.suffix == ".webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 * frame_secs), loop=0, **options)


def _save_mp4(pictures: list[Picture], path: Path, frame_secs: float) -> None:
    import imageio_ffmpeg

    height, width, _ = pictures[0].shape
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=1 / frame_secs, macro_block_size=2)
    writer.send(None)
    for picture in pictures:
        writer.send(np.ascontiguousarray(picture))
    writer.close()
