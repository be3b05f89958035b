"""What reward source sees of the robot while it is traced: raw arrays, and helpers that resolve names to constants.

Rotations and velocities follow MuJoCo's conventions: `cvel[i]` is the spatial velocity (angular, then linear) of body
i, expressed in world axes at the centre of mass of the tree the body belongs to (`mj_comVel` in engine_core_smooth.c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import jax
import jax.numpy as jnp

from tabrl_simulation.rewards.diagnostics import Diagnostic
from tabrl_simulation.rewards.language import HELPERS, names_of_kind
from tabrl_simulation.rewards.naming import unknown_name
from tabrl_simulation.rewards.robot import Robot

__all__ = ["NameRefused", "TracedState"]

Array = jax.Array


class NameRefused(Exception):
    """Source named something the robot does not have; the diagnostic lists what it has. Its place is found later."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        """Keep the diagnostic."""
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message)


class TracedState:
    """The state after a control step, for one environment. Every name becomes an index at trace time."""

    __slots__ = ("_action", "_arrays", "_robot")

    def __init__(self, robot: Robot, arrays: Mapping[str, Array], action: Array) -> None:
        """Hold the arrays by name (shapes as in `robot.arrays`) and the action `[action_size]`."""
        self._robot = robot
        self._arrays = arrays
        self._action = action

    def __getattr__(self, name: str) -> Array:
        """Return the raw mjData array of this name."""
        if name in self._arrays:
            return self._arrays[name]
        raise NameRefused(unknown_name("state member", name, (*self._robot.arrays, *HELPERS)))

    def body_position(self, body: str) -> Array:
        """Return the world position of the body's frame, `[3]` in m."""
        return self._arrays["xpos"][self._body(body)]

    def body_height(self, body: str) -> Array:
        """Return the height of the body's frame in m."""
        return self.body_position(body)[2]

    def body_rotation(self, body: str) -> Array:
        """Return the rotation matrix of the body, `[3, 3]`; columns are its axes in the world."""
        return self._arrays["xmat"][self._body(body)]

    def up(self, body: str) -> Array:
        """Return the cosine between the body's z axis and the world's."""
        return self.body_rotation(body)[2, 2]

    def body_linear_velocity(self, body: str) -> Array:
        """Return the velocity of the body's frame in world axes, `[3]` in m/s.

        `cvel` holds the velocity of the point of the body at the tree's centre of mass c; at the frame's origin p it is
        v_p = v_c + w x (p - c).
        """
        index = self._body(body)
        velocity = self._arrays["cvel"][index]
        offset = self._arrays["xpos"][index] - self._arrays["subtree_com"][self._robot.root_of(index)]
        return velocity[3:] + jnp.cross(velocity[:3], offset)

    def heading_velocity(self, body: str) -> Array:
        """Return the velocity of the body's frame ahead, to the left and up, `[3]` in m/s, whichever way it faces.

        Ahead is where its x axis points on the ground; a body whose x axis points up or down has no such direction, and
        its speed ahead tends to 0.
        """
        velocity = self.body_linear_velocity(body)
        x_axis = self.body_rotation(body)[:2, 0]
        ahead = x_axis / jnp.maximum(jnp.sqrt(jnp.sum(jnp.square(x_axis)) + 1e-12), 1e-3)
        left = jnp.stack([-ahead[1], ahead[0]])
        return jnp.stack([jnp.sum(velocity[:2] * ahead), jnp.sum(velocity[:2] * left), velocity[2]])

    def body_angular_velocity(self, body: str) -> Array:
        """Return the angular velocity of the body in world axes, `[3]` in rad/s."""
        return self._arrays["cvel"][self._body(body)][:3]

    def center_of_mass(self, body: str) -> Array:
        """Return the centre of mass of the body and everything that hangs from it, `[3]` in m."""
        return self._arrays["subtree_com"][self._body(body)]

    def distance(self, body: str, other_body: str) -> Array:
        """Return the distance between the frames of two bodies in m."""
        gap = self.body_position(body) - self.body_position(other_body)
        return jnp.sqrt(jnp.sum(jnp.square(gap)))

    def joint_position(self, joint: str) -> Array:
        """Return a joint's coordinates.

        A scalar (hinge in rad, slide in m), `[4]` for a ball, `[7]` for a free joint.
        """
        found = self._robot.joints[self._index("joint", joint, [each.name for each in self._robot.joints])]
        return _numbers(self._arrays["qpos"], found.qpos_address, {"free": 7, "ball": 4}.get(found.kind, 1))

    def joint_velocity(self, joint: str) -> Array:
        """Return a joint's velocity: a scalar, `[3]` for a ball, `[6]` for a free joint."""
        found = self._robot.joints[self._index("joint", joint, [each.name for each in self._robot.joints])]
        return _numbers(self._arrays["qvel"], found.qvel_address, {"free": 6, "ball": 3}.get(found.kind, 1))

    def control(self, actuator: str) -> Array:
        """Return the control that an actuator was given."""
        return self._arrays["ctrl"][self._index("actuator", actuator, [each.name for each in self._robot.actuators])]

    def sensor(self, sensor: str) -> Array:
        """Return a sensor's reading: a scalar, or a vector when it has several numbers."""
        found = self._robot.sensors[self._index("sensor", sensor, [each.name for each in self._robot.sensors])]
        return _numbers(self._arrays["sensordata"], found.address, found.dim)

    def site_position(self, site: str) -> Array:
        """Return the world position of a site, `[3]` in m."""
        return self._arrays["site_xpos"][self._index("site", site, self._robot.sites)]

    def geom_position(self, geom: str) -> Array:
        """Return the world position of a geom, `[3]` in m."""
        return self._arrays["geom_xpos"][self._index("geom", geom, self._robot.geoms)]

    def effort(self) -> Array:
        """Return the mean squared action."""
        return jnp.mean(jnp.square(self._action))

    def speed(self) -> Array:
        """Return the mean squared joint velocity."""
        return jnp.mean(jnp.square(self._arrays["qvel"]))

    def power(self) -> Array:
        """Return the mechanical power of the actuators in W."""
        return jnp.sum(jnp.abs(self._arrays["qfrc_actuator"] * self._arrays["qvel"]))

    def _body(self, name: str) -> int:
        return self._index("body", name, [body.name for body in self._robot.bodies])

    def _index(self, kind: str, name: str, names: Sequence[str]) -> int:
        if isinstance(name, str) and name and name in names:
            return list(names).index(name)
        return self._refuse(kind, name)

    def _refuse(self, kind: str, name: object) -> NoReturn:
        raise NameRefused(unknown_name(kind, name, names_of_kind(self._robot, kind)))


def _numbers(values: Array, address: int, dim: int) -> Array:
    return values[address] if dim == 1 else values[address : address + dim]
