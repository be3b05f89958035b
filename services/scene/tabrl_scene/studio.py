"""A photographer's studio for robots: frames a posed model and renders it on an endless backdrop under a soft light.

OpenGL here has hard shadows and jagged edges. Both go away by averaging many pictures, each with the light moved a
little and the camera by a part of a pixel (Haeberli and Akeley, "The Accumulation Buffer", SIGGRAPH 1990). The floor is
replaced by the backdrop's own colour, darkened where the floor was shaded, so it has no horizon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mujoco
    from tabrl_simulation.bundle import SceneFiles

__all__ = ["HEIGHT", "SAMPLES", "WIDTH", "Shot", "photograph"]

WIDTH: Final = 480
HEIGHT: Final = 360

_OVERSAMPLING: Final = 2
SAMPLES: Final = 24
"""Pictures that a thumbnail is the mean of."""
_FOVY_DEG: Final = 28.0
_LAST_DRAWN_GROUP: Final = 2
"""MuJoCo draws the groups up to this one; later ones hold shapes for collisions alone."""
_LIGHT_SPREAD: Final = 0.16
"""Radius of the light, as a part of its distance."""

Floats = NDArray[np.float64]


def _rgb(hexadecimal: str) -> Floats:
    return np.array([int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0


# The page's own colours: cool paper, ink, and citron for what matters.
_BACKDROP_TOP: Final = _rgb("#a9b5ac")
_BACKDROP_BOTTOM: Final = _rgb("#d3dad2")
_GRID: Final = _rgb("#8b988f")
PAINTS: Final[Mapping[str, Floats]] = {
    "porcelain": _rgb("#f3f4ee"),
    "stone": _rgb("#b9c1b9"),
    "ink": _rgb("#2a352f"),
    "citron": _rgb("#cdee3c"),
    "leaf": _rgb("#3f9a72"),
}
_PAINT_OF_MATERIAL: Final[Mapping[str, str]] = {
    "self": "porcelain",
    "effector": "leaf",
    "decoration": "ink",
    "eye": "ink",
    "target": "citron",
    "site": "stone",
}


@dataclass(frozen=True)
class Shot:
    """How a robot poses and from where it is seen."""

    azimuth_deg: float
    elevation_deg: float
    pose: Mapping[str, float | list[float]] = field(default_factory=dict)
    """Joint positions by joint name; the others stand as in the keyframe, or as in the model without one."""
    keyframe: str = ""
    """Name of the keyframe that the pose starts from; empty for none."""
    grounded: str = ""
    """Slide joint that is lowered until the robot touches the floor; empty for none."""
    paint: Mapping[str, list[str]] = field(default_factory=dict)
    """Names of geoms by the paint they get instead of their material's; where a robot is made of meshes, of meshes and
    bodies too, whose geoms often have no name."""
    hidden: tuple[str, ...] = ()
    """Names, of the same, and of sites, that are left out."""
    unframed: tuple[str, ...] = ()
    """Names, of the same, that may reach beyond the picture."""
    fill: float = 0.74
    """Part of the picture's width or height that the robot takes."""
    mocap: Mapping[str, list[float]] = field(default_factory=dict)
    """Positions of mocap bodies by name."""
    lift: float = 0.0
    """How far below the middle of the picture the robot stands, as a part of its height."""


def photograph(files: SceneFiles, shot: Shot, *, samples: int = SAMPLES) -> NDArray[np.uint8]:
    """Returns the picture of a scene, `[HEIGHT, WIDTH, 3]` sRGB. Needs an OpenGL that MuJoCo can use off screen."""
    import mujoco

    model = _prepared(files, shot)
    data = mujoco.MjData(model)
    _pose(model, data, shot)
    camera = _framed(model, data, shot)
    height, width = HEIGHT * _OVERSAMPLING, WIDTH * _OVERSAMPLING
    total = np.zeros((height, width, 3))
    renderer = mujoco.Renderer(model, height, width)
    try:
        for offset_px, light in zip(_pixel_offsets(samples), _light_offsets(samples), strict=True):
            total += _picture(model, data, renderer, _moved(camera, offset_px / _OVERSAMPLING, shot), light)
    finally:
        renderer.close()
    small = (total / samples).reshape(HEIGHT, _OVERSAMPLING, WIDTH, _OVERSAMPLING, 3).mean(axis=(1, 3))
    return np.asarray(np.clip(small * 255.0 + 0.5, 0, 255), np.uint8)


def _prepared(files: SceneFiles, shot: Shot) -> mujoco.MjModel:
    """Loads the scene with our light, our paint and an endless floor."""
    import mujoco

    spec = mujoco.MjSpec.from_string(files.xml, assets=dict(files.assets))
    for light in list(spec.lights):
        spec.delete(light)
    spec.worldbody.add_light(
        name="key",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        castshadow=True,
        diffuse=[0.62] * 3,
        specular=[0.2] * 3,
    )
    spec.worldbody.add_light(
        name="fill",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        castshadow=False,
        dir=[0.5, 0.7, -0.4],
        diffuse=[0.1] * 3,
        specular=[0.0] * 3,
    )
    model = spec.compile()
    model.vis.global_.offwidth, model.vis.global_.offheight = WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING
    model.vis.quality.shadowsize = 4096
    model.vis.headlight.ambient[:] = 0.34
    model.vis.headlight.diffuse[:] = 0.2
    model.vis.headlight.specular[:] = 0.0
    model.vis.global_.fovy = _FOVY_DEG
    _paint(model, shot)
    return model


def _paint(model: mujoco.MjModel, shot: Shot) -> None:
    paint_of = {name: paint for paint, names in shot.paint.items() for name in names}
    materials = {index: model.mat(index).name for index in range(model.nmat)}
    model.mat_texid[:] = -1
    model.mat_reflectance[:] = 0.0
    for index in range(model.ngeom):
        names = _names(model, index)
        material = materials.get(int(model.geom_matid[index]), "")
        if _is_floor(model, index):
            if not _is_rough(model, index):
                model.geom_size[index, :2] = 0.0  # endless
            model.mat_rgba[model.geom_matid[index]] = [0.75, 0.75, 0.75, 1.0]
            model.mat_specular[model.geom_matid[index]] = 0.0  # so that only shadows change its brightness
            continue
        hidden = not names.isdisjoint(shot.hidden) or (not material and model.geom_rgba[index, 3] == 0)
        usual = _PAINT_OF_MATERIAL.get(material) or (_nearest_paint(model, index) if model.nmesh else "stone")
        paint = next((paint_of[name] for name in names if name in paint_of), usual)
        model.geom_matid[index] = -1
        model.geom_rgba[index] = [*PAINTS[paint], 0.0 if hidden else 1.0]
    for index in range(model.nsite):
        material = materials.get(int(model.site_matid[index]), "")
        shown = model.site(index).name in paint_of and model.site(index).name not in shot.hidden
        model.site_matid[index] = -1
        model.site_group[index] = 0 if shown else 5
        model.site_rgba[index] = [*PAINTS[paint_of.get(model.site(index).name, "stone")], 1.0]
    model.tendon_rgba[:] = [*PAINTS["ink"], 1.0]


def _names(model: mujoco.MjModel, geom: int) -> Set[str]:
    """Returns the names by which a shot may mean a geom, the closest first."""
    names = {model.geom(geom).name: None}
    if model.nmesh:
        if model.geom_dataid[geom] >= 0 and not _is_rough(model, geom):
            names[model.mesh(model.geom_dataid[geom]).name] = None
        names[model.body(model.geom_bodyid[geom]).name] = None
    return names.keys()


def _nearest_paint(model: mujoco.MjModel, geom: int) -> str:
    """Returns the paint most like the color that the robot's maker gave a part: as dark, and colored if that is."""
    material = int(model.geom_matid[geom])
    color = model.mat_rgba[material, :3] if material >= 0 else model.geom_rgba[geom, :3]
    brightness = float(color.mean())
    if float(np.ptp(color)) > 0.35:
        return "citron" if color[1] > color[2] else "leaf"
    if brightness < 0.3:
        return "ink"
    return "porcelain" if brightness > 0.7 else "stone"


def _is_floor(model: mujoco.MjModel, geom: int) -> bool:
    return model.geom(geom).name in ("floor", "ground")


def _is_rough(model: mujoco.MjModel, geom: int) -> bool:
    import mujoco

    return bool(model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_HFIELD)


def _floor_height(model: mujoco.MjModel) -> float:
    return max(float(model.geom_pos[geom, 2]) for geom in range(model.ngeom) if _is_floor(model, geom))


def _pose(model: mujoco.MjModel, data: mujoco.MjData, shot: Shot) -> None:
    import mujoco

    if shot.keyframe:
        mujoco.mj_resetDataKeyframe(model, data, model.key(shot.keyframe).id)
    for name, value in shot.pose.items():
        data.joint(name).qpos[:] = value
    for name, position in shot.mocap.items():
        data.mocap_pos[model.body(name).mocapid[0]] = position
    mujoco.mj_forward(model, data)
    if shot.grounded:
        lowest = min(float(corner[2]) for geom in _shown(model, shot) for corner in _corners(model, data, geom))
        data.joint(shot.grounded).qpos[-1 if len(data.joint(shot.grounded).qpos) == 1 else 2] += (
            _floor_height(model) - lowest
        )
        mujoco.mj_forward(model, data)


def _shown(model: mujoco.MjModel, shot: Shot) -> Iterator[int]:
    for geom in range(model.ngeom):
        if _is_floor(model, geom) or model.geom_group[geom] > _LAST_DRAWN_GROUP:
            continue
        left_out = not _names(model, geom).isdisjoint((*shot.hidden, *shot.unframed))
        if not left_out and model.geom_rgba[geom, 3] > 0:
            yield geom


def _corners(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> Floats:
    """Returns points that enclose a geom, `[n, 3]`: the extremes of a capsule's end spheres, else its box's corners."""
    import mujoco

    center, rotation = data.geom_xpos[geom], data.geom_xmat[geom].reshape(3, 3)
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE:
        radius, half = model.geom_size[geom, :2]
        ends = np.array([center + rotation[:, 2] * half, center - rotation[:, 2] * half])
        return np.concatenate([ends + radius * axis for axis in (*np.eye(3), *-np.eye(3))])
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE:
        local = np.array([[x, y, 0.0] for x in (-1, 1) for y in (-1, 1)]) * model.geom_size[geom]
    else:
        box_center, box_half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        local = box_center + signs * box_half
    return np.asarray(center + local @ rotation.T)


def _axes(shot: Shot) -> tuple[Floats, Floats, Floats]:
    """Returns the camera's right, up and forward in the world."""
    azimuth, elevation = np.deg2rad([shot.azimuth_deg, shot.elevation_deg])
    forward = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    return right, np.cross(right, forward), forward


def _framed(model: mujoco.MjModel, data: mujoco.MjData, shot: Shot) -> mujoco.MjvCamera:
    """Returns a camera that sees the whole robot in the middle of the picture, as large as the shot asks."""
    import mujoco

    points = np.concatenate([_corners(model, data, geom) for geom in _shown(model, shot)])
    right, up, forward = _axes(shot)
    half = np.array([WIDTH / HEIGHT, 1.0]) * np.tan(np.deg2rad(_FOVY_DEG) / 2)
    lookat, distance = points.mean(axis=0), 4 * float(np.ptp(points, axis=0).max())
    for _ in range(20):  # converges in a few rounds: moving sideways hardly changes the size, and the other way round
        seen = points - lookat
        depth = distance + seen @ forward
        projected = np.stack([seen @ right, seen @ up], axis=1) / depth[:, None] / half
        low, high = projected.min(axis=0), projected.max(axis=0)
        middle = (low + high) / 2 * half * distance
        lookat = lookat + middle[0] * right + middle[1] * up
        distance *= float(((high - low) / 2).max()) / shot.fill
    lookat = lookat + up * shot.lift * distance * half[1]
    model.stat.center[:] = points.mean(axis=0)
    model.stat.extent = 1.1 * float(np.linalg.norm(points - points.mean(axis=0), axis=1).max())
    # Near and far are parts of the extent; the camera may stand many extents away.
    model.vis.map.znear, model.vis.map.zfar = 0.05, 200.0
    model.vis.map.shadowclip = 1.6
    camera = mujoco.MjvCamera()
    camera.lookat[:], camera.distance = lookat, distance
    camera.azimuth, camera.elevation = shot.azimuth_deg, shot.elevation_deg
    return camera


def _pixel_offsets(count: int) -> Floats:
    """Returns offsets within a pixel, `[count, 2]` in -0.5..0.5, spread evenly by the R2 sequence."""
    steps = np.arange(1, count + 1)[:, None] * np.array([0.7548776662466927, 0.5698402909980532])
    return np.asarray(steps % 1.0 - 0.5)


def _light_offsets(count: int) -> Floats:
    """Returns places on the face of the light, `[count, 2]` in a unit disk, spread evenly by a sunflower spiral."""
    index = np.arange(count) + 0.5
    angle = index * np.pi * (3.0 - np.sqrt(5.0))
    return np.asarray(np.sqrt(index / count)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def _moved(camera: mujoco.MjvCamera, offset_px: Floats, shot: Shot) -> mujoco.MjvCamera:
    """Returns the camera moved sideways by parts of a pixel."""
    import mujoco

    right, up, _ = _axes(shot)
    size_of_pixel = 2 * camera.distance * np.tan(np.deg2rad(_FOVY_DEG) / 2) / HEIGHT
    moved = mujoco.MjvCamera()
    moved.lookat[:] = camera.lookat + size_of_pixel * (offset_px[0] * right + offset_px[1] * up)
    moved.distance, moved.azimuth, moved.elevation = camera.distance, camera.azimuth, camera.elevation
    return moved


def _picture(
    model: mujoco.MjModel, data: mujoco.MjData, renderer: Any, camera: mujoco.MjvCamera, light: Floats
) -> Floats:
    """Returns one picture, `[height, width, 3]` in 0..1, with its floor replaced by the backdrop."""
    import mujoco

    _aim_light(model, camera, light)
    mujoco.mj_forward(model, data)
    renderer.update_scene(data, camera)
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = 0
    color = renderer.render().astype(np.float64) / 255.0
    renderer.enable_depth_rendering()
    depth = renderer.render().astype(np.float64)
    renderer.disable_depth_rendering()
    world = _world_points(depth, renderer.scene.camera[0], renderer.scene.camera[1])
    away = np.linalg.norm(world[..., :2] - model.stat.center[:2], axis=-1) / model.stat.extent
    backdrop = _backdrop(color.shape[0])
    floor = np.abs(world[..., 2] - _floor_height(model)) < 2e-3 * camera.distance
    rough = [geom for geom in range(model.ngeom) if _is_floor(model, geom) and _is_rough(model, geom)]
    if rough:
        renderer.enable_segmentation_rendering()
        floor = np.isin(renderer.render()[..., 0], rough)
        renderer.disable_segmentation_rendering()
    nothing = depth > 0.9 * model.vis.map.zfar * model.stat.extent
    floor &= ~nothing
    brightness = color.mean(axis=-1)
    lit = np.percentile(brightness[floor], 99) if floor.any() else 1.0
    near = np.clip(1.0 - (away - 1.2) / 2.2, 0.0, 1.0)[..., None]
    near = near * near * (3 - 2 * near)
    shade = 1.0 - near * (1.0 - np.minimum(brightness / lit, 1.0)[..., None])
    lines = near * _grid_lines(world, model.stat.extent, camera.distance)[..., None]
    ground = shade * (backdrop * (1.0 - 0.55 * lines) + _GRID * 0.55 * lines)
    return np.where(floor[..., None], ground, np.where(nothing[..., None], backdrop, color))


def _aim_light(model: mujoco.MjModel, camera: mujoco.MjvCamera, offset: Floats) -> None:
    """Points the key light: from above, from the camera's left, moved by the offset over the face of the light."""
    azimuth = np.deg2rad(camera.azimuth)
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    toward = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    direction = np.array([0.0, 0.0, -1.0]) + 0.4 * right + 0.62 * toward
    direction += _LIGHT_SPREAD * (offset[0] * right + offset[1] * toward)
    key = model.light("key").id
    model.light_dir[key] = direction / np.linalg.norm(direction)
    model.light_pos[key] = model.stat.center - 4 * model.stat.extent * model.light_dir[key]


def _world_points(depth: Floats, left_eye: Any, right_eye: Any) -> Floats:
    """Returns the point of the world behind each pixel, `[height, width, 3]`."""
    height, width = depth.shape
    position = (np.array(left_eye.pos) + np.array(right_eye.pos)) / 2
    forward, up = np.array(left_eye.forward), np.array(left_eye.up)
    right = np.cross(forward, up)
    half = np.tan(np.deg2rad(_FOVY_DEG) / 2)
    x = (2 * (np.arange(width) + 0.5) / width - 1) * half * width / height
    y = (1 - 2 * (np.arange(height) + 0.5) / height) * half
    rays = forward + x[None, :, None] * right + y[:, None, None] * up
    return np.asarray(position + depth[..., None] * rays)


def _backdrop(height: int) -> Floats:
    """Returns the backdrop's color by row, `[height, 1, 3]`."""
    down = np.linspace(0.0, 1.0, height)[:, None, None]
    down = down * down * (3 - 2 * down)
    return np.asarray(_BACKDROP_TOP * (1 - down) + _BACKDROP_BOTTOM * down)


def _grid_lines(world: Floats, extent: float, distance: float) -> Floats:
    """Returns how much of each floor point lies under a line, 0 to 1."""
    pitch = 2.0 ** np.round(np.log2(extent * 0.5))
    half_width = 0.0011 * distance
    to_line = np.abs(world[..., :2] / pitch - np.round(world[..., :2] / pitch)) * pitch
    return np.asarray(np.clip(1.5 - to_line.min(axis=-1) / half_width, 0.0, 1.0))
