"""The words of the reward language: what source may say, and how it is explained to whoever writes it.

The checker, the traced state and the prompt for a model all read these tables, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from tabrl_simulation.rewards.robot import Robot

__all__ = [
    "ARRAY_MEMBERS",
    "BUILTINS",
    "CONTAINER_METHODS",
    "HELPERS",
    "JNP_CONSTANTS",
    "JNP_FUNCTIONS",
    "LINALG_FUNCTIONS",
    "NN_FUNCTIONS",
    "ONLY_OF_STATE",
    "PARAMETERS",
    "SHAPING",
    "Helper",
    "names_of_kind",
]

_JNP = """
abs absolute add all any append arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin array asarray
atleast_1d average bitwise_and bitwise_not bitwise_or cbrt ceil clip concatenate cos cosh cross cumsum deg2rad
degrees diff divide dot einsum equal exp exp2 expm1 fabs flip float_power floor fmax fmin full full_like greater
greater_equal heaviside hypot inner isclose isfinite isnan less less_equal linspace log log10 log1p log2
logaddexp logical_and logical_not logical_or logical_xor matmul max maximum mean median min minimum mod multiply
nan_to_num
negative not_equal ones ones_like outer power prod ptp rad2deg radians ravel remainder reshape round select sign sin
sinc sinh sqrt
square squeeze stack std subtract sum take tan tanh trace transpose true_divide trunc var vdot where zeros
zeros_like"""

JNP_FUNCTIONS = frozenset(_JNP.split())
"""Functions that may be called as `jnp.NAME(...)`."""
JNP_CONSTANTS = frozenset({"pi", "e", "inf", "newaxis", "float32", "int32", "bool_"})
"""Values that may be read as `jnp.NAME`."""
LINALG_FUNCTIONS = frozenset({"norm"})
"""Functions that may be called as `jnp.linalg.NAME(...)`."""
NN_FUNCTIONS = frozenset(
    {"elu", "hard_tanh", "leaky_relu", "log_sigmoid", "relu", "sigmoid", "softmax", "softplus", "silu"}
)
"""Functions that may be called as `jax.nn.NAME(...)`."""
ARRAY_MEMBERS = frozenset(
    {"T", "all", "any", "astype", "clip", "dot", "flatten", "max", "mean", "min", "ndim", "prod", "ravel", "reshape"}
    | {"round", "shape", "size", "std", "sum", "squeeze", "transpose", "var"}
)
"""Attributes that an array may be asked for."""
CONTAINER_METHODS = frozenset({"append", "items", "keys", "values"})
"""Methods of the lists and dicts that source builds itself."""
BUILTINS = frozenset(
    {
        "abs",
        "dict",
        "enumerate",
        "float",
        "int",
        "len",
        "list",
        "max",
        "min",
        "range",
        "reversed",
        "round",
        "sum",
        "tuple",
    }
    | {"zip"}
)
"""Python's own functions that source may call."""


@dataclass(frozen=True)
class Helper:
    """A function of the language: how it is called, what it gives, and which kind of name its first argument is."""

    signature: str
    gives: str
    kind: str = ""


SHAPING: dict[str, Helper] = {
    "tolerance": Helper(
        'tolerance(x, lower, upper, margin=0.0, sigmoid="gaussian")',
        "1 between the bounds; outside it falls to 0.1 (gaussian, long_tail) or 0 (linear) at a distance of margin",
    ),
    "near": Helper("near(x, target, margin)", "1 at the target, 0.1 at a distance of margin, with a long tail beyond"),
    "at_least": Helper(
        "at_least(x, bound, margin)", "1 from the bound upwards, falling in a line to 0 at bound - margin"
    ),
    "at_most": Helper("at_most(x, bound, margin)", "1 up to the bound, falling in a line to 0 at bound + margin"),
}
"""Functions that turn a quantity into a reward between 0 and 1."""

HELPERS: dict[str, Helper] = {
    "body_position": Helper("body_position(body)", "(3,) world position of the body's frame, m; z points up", "body"),
    "body_height": Helper("body_height(body)", "scalar, height of the body's frame above z = 0, m", "body"),
    "body_rotation": Helper(
        "body_rotation(body)", "(3, 3) rotation matrix, its columns are the body's axes in the world", "body"
    ),
    "up": Helper(
        "up(body)", "scalar, cosine between the body's z axis and the world's: 1 upright, -1 upside down", "body"
    ),
    "body_linear_velocity": Helper(
        "body_linear_velocity(body)", "(3,) velocity of the body's frame in the world, m/s", "body"
    ),
    "heading_velocity": Helper(
        "heading_velocity(body)",
        "(3,) velocity of the body's frame, m/s: ahead along its x axis, to its left, and up, whichever way it faces",
        "body",
    ),
    "body_angular_velocity": Helper("body_angular_velocity(body)", "(3,) angular velocity in the world, rad/s", "body"),
    "local_linear_velocity": Helper(
        "local_linear_velocity(body)", "(3,) velocity of the body's frame along the body's own axes, m/s", "body"
    ),
    "local_angular_velocity": Helper(
        "local_angular_velocity(body)", "(3,) angular velocity about the body's own axes, rad/s", "body"
    ),
    "projected_gravity": Helper(
        "projected_gravity(body)", "(3,) direction of gravity along the body's own axes: (0, 0, -1) upright", "body"
    ),
    "yaw": Helper(
        "yaw(body)", "scalar, heading of the body's x axis on the ground, rad from the world's x axis", "body"
    ),
    "height_over_feet": Helper(
        "height_over_feet(body)",
        "scalar, height of the body's frame above the lowest point of the lowest foot, m: on any ground",
        "body",
    ),
    "center_of_mass": Helper(
        "center_of_mass(body)", "(3,) centre of mass of the body and all that hangs from it, m", "body"
    ),
    "distance": Helper("distance(body, other_body)", "scalar, distance between two bodies' frames, m", "body"),
    "joint_position": Helper(
        "joint_position(joint)", "scalar in rad (hinge) or m (slide); (4,) for a ball, (7,) for a free joint", "joint"
    ),
    "joint_velocity": Helper(
        "joint_velocity(joint)", "scalar in rad/s or m/s; (3,) for a ball, (6,) for a free joint", "joint"
    ),
    "control": Helper("control(actuator)", "scalar, the control the actuator was given", "actuator"),
    "sensor": Helper("sensor(sensor)", "scalar, or a vector for a sensor of several numbers", "sensor"),
    "site_position": Helper("site_position(site)", "(3,) world position, m", "site"),
    "geom_position": Helper("geom_position(geom)", "(3,) world position, m", "geom"),
    "effort": Helper("effort()", "scalar, mean squared action: 0 at rest, 1 with every actuator at full power"),
    "speed": Helper("speed()", "scalar, mean squared joint velocity"),
    "power": Helper("power()", "scalar, mechanical power of the actuators: sum of |force * velocity|, W"),
    "energy": Helper("energy()", "scalar, mechanical energy the actuators spent in this control step, J"),
    "last_action": Helper("last_action()", "the action of the control step before, shaped like action; 0 at first"),
    "action_change": Helper("action_change()", "scalar, mean squared difference from the action of the step before"),
    "clock": Helper(
        "clock(frequency)", "(2,) sine and cosine of a phase that runs at this many turns a second from 0 at the start"
    ),
    "foot_height": Helper("foot_height(foot)", "scalar, height of the foot's lowest point above z = 0, m", "foot"),
    "contact": Helper("contact(foot)", "scalar, 1.0 while the foot touches the ground, else 0.0", "foot"),
    "landed": Helper("landed(foot)", "scalar, 1.0 in the control step in which the foot comes down, else 0.0", "foot"),
    "air_time": Helper(
        "air_time(foot)",
        "scalar, s since the foot left the ground; when it lands, how long it was up; 0 while it stands",
        "foot",
    ),
    "command": Helper(
        "command()",
        "(3,) velocity the robot is told to go at: ahead and to its left in m/s, turning to the left in rad/s",
    ),
}
"""Methods of `state` beside the raw arrays."""

ONLY_OF_STATE = frozenset({"last_action", "action_change", "landed", "command"})
"""Those that `previous` does not have."""

PARAMETERS = ("state", "action", "previous", "command")
"""What `reward` may take: the first two always; `previous` is the state before the control step."""


def names_of_kind(robot: Robot, kind: str) -> tuple[str, ...]:
    """Return the robot's names of a kind (body, joint, actuator, sensor, site, geom, foot), without unnamed ones."""
    if kind == "body":
        return tuple(body.name for body in robot.bodies if body.name)
    named: dict[str, tuple[str, ...]] = {
        "joint": tuple(joint.name for joint in robot.joints),
        "actuator": tuple(actuator.name for actuator in robot.actuators),
        "sensor": tuple(sensor.name for sensor in robot.sensors),
        "site": robot.sites,
        "foot": tuple(foot.name for foot in robot.feet),
        "geom": robot.geoms,
    }
    return tuple(name for name in named[kind] if name)
