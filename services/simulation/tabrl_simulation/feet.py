"""The feet of a robot: the last bodies of its limbs, those that reach the ground when it stands at home.

Read from the model with MuJoCo C alone. Whether a foot touches the ground is told by its lowest point, which any
physics knows, rather than by contacts, of which MuJoCo C and MJX keep different lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tabrl_simulation.keyframes import home_keyframe

if TYPE_CHECKING:
    import mujoco

__all__ = ["TOUCHING_M", "Foot", "FootGeom", "find_feet", "foot_of_plain"]

TOUCHING_M: Final = 0.01
"""A foot whose lowest point is less than this above the ground touches it; lifting it by less is no step."""

_REACH_SHARE: Final = 0.1
_LEAST_REACH_M: Final = 0.03
_MOST_FEET: Final = 8


@dataclass(frozen=True)
class FootGeom:
    """A geom of a foot: a box with rounded edges, in the geom's frame, around its origin.

    Attributes:
        index: index of the geom in the model.
        half_m: half the lengths of the box along the geom's axes, [3].
        radius_m: radius of the rounding.
    """

    index: int
    half_m: tuple[float, float, float]
    radius_m: float


@dataclass(frozen=True)
class Foot:
    """A foot.

    Attributes:
        name: name of its body.
        geoms: what it touches the ground with.
    """

    name: str
    geoms: tuple[FootGeom, ...]


def foot_of_plain(values: Mapping[str, Any]) -> Foot:
    """Returns the foot that `dataclasses.asdict` made plain data of.

    Raises:
        KeyError, TypeError, ValueError: a field is missing or of the wrong kind.
    """
    geoms = []
    for geom in values["geoms"]:
        x, y, z = (float(half) for half in geom["half_m"])
        geoms.append(FootGeom(int(geom["index"]), (x, y, z), float(geom["radius_m"])))
    return Foot(str(values["name"]), tuple(geoms))


def find_feet(model: mujoco.MjModel) -> tuple[Foot, ...]:
    """Returns the feet of what can fall, in the order of their bodies; none for what does not walk.

    A robot can fall where its first body is free, or slides up and down without an actuator, and it has actuators. Its
    feet are the bodies, with none below them on the same limb, that reach almost as far down as the lowest one.
    """
    import mujoco

    weightless = bool(model.opt.disableflags & int(mujoco.mjtDisableBit.mjDSBL_GRAVITY)) or model.opt.gravity[2] >= 0
    geoms = {} if weightless else _colliding_geoms(model)
    if not geoms:
        return ()
    data = mujoco.MjData(model)
    _put_at_home(model, data)
    low: dict[int, float] = {}
    for body, found in geoms.items():
        low[body] = min(_lowest(data, geom) for geom in found)
    roots = {body: int(model.body_rootid[body]) for body in geoms}
    feet: list[Foot] = []
    for root in sorted(set(roots.values())):
        own = [body for body in geoms if roots[body] == root]
        if not _can_fall(model, root):
            continue
        top = max(float(data.xpos[body][2]) for body in own)
        bottom = min(low[body] for body in own)
        reach = max(_LEAST_REACH_M, _REACH_SHARE * (top - bottom))
        reaching = [body for body in own if low[body] <= bottom + reach]
        above = {ancestor for body in reaching for ancestor in _ancestors(model, body)}
        feet += [Foot(model.body(body).name, tuple(geoms[body])) for body in reaching if body not in above]
    named = tuple(foot for foot in feet if foot.name)
    return named if len(named) <= _MOST_FEET else ()


def _colliding_geoms(model: mujoco.MjModel) -> dict[int, list[FootGeom]]:
    """Returns the geoms that collide, by the body that they move with; a body welded to its parent is part of it."""
    found: dict[int, list[FootGeom]] = {}
    paired = {int(index) for index in (*model.pair_geom1, *model.pair_geom2)}
    for index in range(model.ngeom):
        body = int(model.body_weldid[model.geom_bodyid[index]])
        if body and (index in paired or model.geom_contype[index] or model.geom_conaffinity[index]):
            found.setdefault(body, []).append(_rounded_box(model, index))
    return dict(sorted(found.items()))


def _rounded_box(model: mujoco.MjModel, index: int) -> FootGeom:
    import mujoco

    kinds = mujoco.mjtGeom
    kind, size = kinds(int(model.geom_type[index])), [float(each) for each in model.geom_size[index]]
    if kind == kinds.mjGEOM_SPHERE:
        return FootGeom(index, (0.0, 0.0, 0.0), size[0])
    if kind == kinds.mjGEOM_CAPSULE:
        return FootGeom(index, (0.0, 0.0, size[1]), size[0])
    if kind == kinds.mjGEOM_CYLINDER:
        return FootGeom(index, (size[0], size[0], size[1]), 0.0)
    if kind in (kinds.mjGEOM_BOX, kinds.mjGEOM_ELLIPSOID):
        return FootGeom(index, (size[0], size[1], size[2]), 0.0)
    # Meshes are centred on their geom's frame, but for their asymmetry.
    center, half = model.geom_aabb[index][:3], model.geom_aabb[index][3:]
    reach = [float(each) for each in half + abs(center)]
    return FootGeom(index, (reach[0], reach[1], reach[2]), 0.0)


def _lowest(data: mujoco.MjData, geom: FootGeom) -> float:
    row = abs(data.geom_xmat[geom.index].reshape(3, 3)[2])
    return float(data.geom_xpos[geom.index][2] - row @ geom.half_m - geom.radius_m)


def _put_at_home(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    import mujoco

    if home := home_keyframe(model):
        mujoco.mj_resetDataKeyframe(model, data, model.key(home).id)
    mujoco.mj_kinematics(model, data)


def _ancestors(model: mujoco.MjModel, body: int) -> list[int]:
    found = []
    while body > 0:
        body = int(model.body_weldid[model.body_parentid[body]])
        found.append(body)
    return found


def _can_fall(model: mujoco.MjModel, root: int) -> bool:
    import mujoco

    in_tree = [joint for joint in range(model.njnt) if model.body_rootid[model.jnt_bodyid[joint]] == root]
    driven = _driven_joints(model)
    if not any(joint in driven for joint in in_tree):
        return False
    for joint in in_tree:
        if int(model.jnt_bodyid[joint]) != root or joint in driven:
            continue
        kind = int(model.jnt_type[joint])
        slides_up = kind == int(mujoco.mjtJoint.mjJNT_SLIDE) and abs(float(model.jnt_axis[joint][2])) > 0.5
        if kind == int(mujoco.mjtJoint.mjJNT_FREE) or slides_up:
            return True
    return False


def _driven_joints(model: mujoco.MjModel) -> set[int]:
    """Returns the joints that actuators drive, directly or through tendons."""
    import mujoco

    driven: set[int] = set()
    for actuator in range(model.nu):
        kind, target = int(model.actuator_trntype[actuator]), int(model.actuator_trnid[actuator, 0])
        if kind in (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT)):
            driven.add(target)
        elif kind == int(mujoco.mjtTrn.mjTRN_TENDON):
            start, count = int(model.tendon_adr[target]), int(model.tendon_num[target])
            wraps = range(start, start + count)
            driven |= {
                int(model.wrap_objid[wrap])
                for wrap in wraps
                if int(model.wrap_type[wrap]) == int(mujoco.mjtWrap.mjWRAP_JOINT)
            }
    return driven
