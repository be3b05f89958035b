"""What reward source sees of the robot while it is traced: raw arrays, and helpers that resolve names to constants.

Rotations and velocities follow MuJoCo's conventions: `cvel[i]` is the spatial velocity (angular, then linear) of body
i, expressed in world axes at the centre of mass of the tree the body belongs to (`mj_comVel` in engine_core_smooth.c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import jax
import jax.numpy as jnp

from tabrl_simulation.feet import Foot
from tabrl_simulation.rewards import contact
from tabrl_simulation.rewards.diagnostics import Diagnostic
from tabrl_simulation.rewards.inputs import AIR_TIME, BEFORE, COMMAND, PREVIOUS_ACTION
from tabrl_simulation.rewards.language import HELPERS, ONLY_OF_STATE, names_of_kind
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
    """The state after a control step or before it, for one environment. Every name becomes an index at trace time."""

    __slots__ = ("_action", "_arrays", "_inputs", "_is_previous", "_robot")

    def __init__(self, robot: Robot, inputs: Mapping[str, Array], action: Array, *, previous: bool = False) -> None:
        """Hold what the reward may read (`inputs.shapes`) and the action `[action_size]`.

        With `previous`, it is the state before the step, and its action is that of the step before.
        """
        prefix = BEFORE if previous else ""
        self._is_previous = previous
        self._robot = robot
        self._inputs = inputs
        self._arrays = {name: inputs[prefix + name] for name in robot.arrays if prefix + name in inputs}
        self._action = inputs[PREVIOUS_ACTION] if previous else action

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

    def local_linear_velocity(self, body: str) -> Array:
        """Return the velocity of the body's frame along the body's own axes, `[3]` in m/s."""
        return _along_own_axes(self.body_rotation(body), self.body_linear_velocity(body))

    def local_angular_velocity(self, body: str) -> Array:
        """Return the angular velocity about the body's own axes, `[3]` in rad/s."""
        return _along_own_axes(self.body_rotation(body), self.body_angular_velocity(body))

    def projected_gravity(self, body: str) -> Array:
        """Return the direction of gravity along the body's own axes, `[3]`: (0, 0, -1) for an upright body."""
        return -self.body_rotation(body)[2]

    def yaw(self, body: str) -> Array:
        """Return the angle on the ground from the world's x axis to the body's, in rad from -pi to pi."""
        x_axis = self.body_rotation(body)[:2, 0]
        return jnp.arctan2(x_axis[1], x_axis[0])

    def height_over_feet(self, body: str) -> Array:
        """Return the height of the body's frame above the lowest point of the lowest foot, in m."""
        names = [foot.name for foot in self._robot.feet]
        if not names:
            self._refuse("foot", "")
        return self.body_height(body) - jnp.min(jnp.stack([self.foot_height(name) for name in names]))

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

    def energy(self) -> Array:
        """Return the mechanical energy that the actuators spent in this control step, in J."""
        return self.power() * self._robot.control_period_secs

    def last_action(self) -> Array:
        """Return the action of the control step before, `[action_size]`; zeros in the first step of an episode."""
        self._require_now("last_action")
        return self._inputs[PREVIOUS_ACTION]

    def action_change(self) -> Array:
        """Return the mean squared difference between this action and the one before."""
        self._require_now("action_change")
        return jnp.mean(jnp.square(self._action - self._inputs[PREVIOUS_ACTION]))

    def clock(self, frequency: float) -> Array:
        """Return sine and cosine, `[2]`, of a phase that runs at `frequency` Hz from 0 at the episode's start."""
        phase = 2.0 * jnp.pi * frequency * self._arrays["time"]
        return jnp.stack([jnp.sin(phase), jnp.cos(phase)])

    def foot_height(self, foot: str) -> Array:
        """Return the height of the lowest point of a foot above z = 0, in m."""
        return contact.foot_height(self._foot(foot), self._arrays["geom_xpos"], self._arrays["geom_xmat"])

    def contact(self, foot: str) -> Array:
        """Return 1 while a foot touches the ground, else 0."""
        touching = contact.touches(self._foot(foot), self._arrays["geom_xpos"], self._arrays["geom_xmat"])
        return touching.astype(jnp.float32)

    def landed(self, foot: str) -> Array:
        """Return 1 in the control step in which a foot comes down, else 0."""
        self._require_now("landed")
        return self.contact(foot) * (self._air_time_before(foot) > 0.0)

    def air_time(self, foot: str) -> Array:
        """Return the time since a foot left the ground, in s.

        In the step in which it lands it is how long the foot was up, and 0 while it stands.
        """
        before = self._air_time_before(foot)
        if self._is_previous:
            return before
        standing = (before == 0.0) & (self.contact(foot) > 0.0)
        return jnp.where(standing, 0.0, before + self._robot.control_period_secs)

    def command(self) -> Array:
        """Return the velocity that the robot is told to go at, `[3]`: ahead, to its left (m/s), turning (rad/s)."""
        self._require_now("command")
        if COMMAND not in self._inputs:
            raise NameRefused(unknown_name("command", "velocity", ()))
        return self._inputs[COMMAND]

    def _air_time_before(self, foot: str) -> Array:
        names = [each.name for each in self._robot.feet]
        return self._inputs[AIR_TIME][self._index("foot", foot, names)]

    def _foot(self, name: str) -> Foot:
        return self._robot.feet[self._index("foot", name, [foot.name for foot in self._robot.feet])]

    def _require_now(self, member: str) -> None:
        if self._is_previous:
            known = [*self._robot.arrays, *(name for name in HELPERS if name not in ONLY_OF_STATE)]
            raise NameRefused(unknown_name("previous state member", member, known))

    def _body(self, name: str) -> int:
        return self._index("body", name, [body.name for body in self._robot.bodies])

    def _index(self, kind: str, name: str, names: Sequence[str]) -> int:
        if isinstance(name, str) and name and name in names:
            return list(names).index(name)
        return self._refuse(kind, name)

    def _refuse(self, kind: str, name: object) -> NoReturn:
        raise NameRefused(unknown_name(kind, name, names_of_kind(self._robot, kind)))


def _along_own_axes(rotation: Array, vector: Array) -> Array:
    """Return a world vector along the axes that are the columns of a rotation, without a matrix product."""
    return jnp.sum(rotation * vector[:, None], axis=0)


def _numbers(values: Array, address: int, dim: int) -> Array:
    return values[address] if dim == 1 else values[address : address + dim]
