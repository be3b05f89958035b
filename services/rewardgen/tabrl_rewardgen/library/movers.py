"""Rewards for robots that bring something somewhere: reacher, point mass, finger, ball in cup, swimmer, fish."""

from __future__ import annotations

import re

from tabrl_rewardgen.library.draft import Draft, Term
from tabrl_rewardgen.library.reading import Wish

__all__ = ["ball_in_cup", "finger", "fish", "point_mass", "reacher", "swimmer"]

_ARENA_M = 0.27


def reacher(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the two-link arm in the plane."""
    draft = Draft().let(
        to_target='state.body_position("target")[0:2] - state.body_position("finger")[0:2]',
        distance="jnp.linalg.norm(to_target)",
        turning='state.joint_velocity("shoulder")',
    )
    if wish.has("spin") and not wish.has("reach"):
        goal = 6.0
        side = -wish.side or 1.0
        draft.add(
            Term(
                "spin", f"at_least({side:g} * turning, {goal:g}, {goal:g})", f"The arm turns: 1 from {goal:g} rad/s on."
            )
        )
        draft.summary = "Spin the arm round its shoulder."
        return _gently(draft, wish), {"spin", "left", "right", "fast"}
    if wish.has("still") and not wish.has("reach", "goto"):
        draft.add(Term("still", "near(state.speed(), 0.0, 1.0)", "No joint moves."))
        draft.summary = "Keep the arm still."
        return _gently(draft, wish), {"still", "hang"}
    draft.add(
        Term("approach", "near(distance, 0.0, 0.25)", "The fingertip is close to the target: 0.1 at 25 cm, 1 on it."),
        Term("touch", "near(distance, 0.0, 0.05)", "The fingertip is on the target: 0.1 at 5 cm, 1 on it."),
        Term("stay", "near(distance, 0.0, 0.05) * near(state.speed(), 0.0, 4.0)", "It comes to rest there.", 0.3),
    )
    draft.summary = "Bring the fingertip to the target and hold it there."
    draft.check = "mean(((pos('finger') - pos('target'))[:, :2]**2).sum(-1)**0.5) < 0.06"
    return _gently(draft, wish), {"reach", "goto", "still", "turn_to", "up"}


def point_mass(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the point mass in its square arena (0.3 m to each wall); x is to the right, y is up."""
    draft = Draft().let(
        x='state.body_position("pointmass")[0]',
        y='state.body_position("pointmass")[1]',
        speed='jnp.linalg.norm(state.body_linear_velocity("pointmass")[0:2])',
    )
    if wish.has("spin", "sway"):
        return _roaming(draft, wish), {"spin", "sway", "left", "right", "fast"}
    x, y, where = _place_in_arena(wish)
    if wish.distance_m is not None and not (x or y):
        draft.leave_out(f"{wish.distance_m:g} m: neither left nor right, up nor down is said")
    elif wish.distance_m is not None and wish.distance_m > _ARENA_M:
        draft.leave_out(f"{wish.distance_m:g} m: the walls are nearer, so it goes {_ARENA_M:g} m each way")
    draft.let(distance=f"jnp.hypot(x - {x:g}, y - {y:g})").add(
        Term("approach", "near(distance, 0.0, 0.3)", f"It is close to {where}: 0.1 at 30 cm, 1 there."),
        Term("arrive", "near(distance, 0.0, 0.06)", f"It is at {where}: 0.1 at 6 cm, 1 there."),
        Term("stay", "near(distance, 0.0, 0.06) * near(speed, 0.0, 0.3)", "It comes to rest there.", 0.5),
    )
    draft.summary = f"Bring the point to {where} and keep it there."
    here = "pos('pointmass')"
    draft.check = f"abs(mean({here}[:, 0]) - {x:g}) < 0.06 and abs(mean({here}[:, 1]) - {y:g}) < 0.06"
    return _gently(draft, wish), {
        *("goto", "reach", "still", "left", "right", "up", "walk", "hang", "crouch", "stand", "distance")
    }


def _place_in_arena(wish: Wish) -> tuple[float, float, str]:
    reach = min(_ARENA_M if wish.distance_m is None else wish.distance_m, _ARENA_M)
    side = wish.side
    above = float(bool(re.search(r"\b(top|upper|up|north|above)\b", wish.text)))
    above -= float(bool(re.search(r"\b(bottom|lower|down|south|below)\b", wish.text)))
    if "corner" in wish.text and not side:
        side = 1.0
    if "corner" in wish.text and not above:
        above = 1.0
    if not reach or not (side or above):
        return 0.0, 0.0, "the centre"
    return (
        reach * side,
        reach * above,
        "the place " + " and ".join(_offsets(reach * side, reach * above)) + " from the centre",
    )


def _offsets(rightward_m: float, upward_m: float) -> list[str]:
    ways = ((rightward_m, "to the right", "to the left"), (upward_m, "up", "down"))
    return [f"{abs(metres):g} m {one if metres > 0 else other}" for metres, one, other in ways if metres]


def _roaming(draft: Draft, wish: Wish) -> Draft:
    if wish.has("spin"):
        side = -wish.side or 1.0
        draft.let(
            velocity='state.body_linear_velocity("pointmass")',
            radius="jnp.hypot(x, y)",
            along=f"{side:g} * (x * velocity[1] - y * velocity[0]) / jnp.maximum(radius, 0.02)",
        ).add(
            Term("circle", "near(radius, 0.15, 0.1)", "It is 15 cm from the centre."),
            Term("round", "at_least(along, 0.3, 0.3)", "It goes round the centre: 1 from 0.3 m/s on."),
        )
        draft.summary = "Drive round the centre in circles."
    else:
        draft.let(sideways='state.body_linear_velocity("pointmass")[0]').add(
            Term("sway", "near(jnp.hypot(x / 0.15, sideways / 0.3), 1.0, 0.6)", "It goes 15 cm to either side."),
            Term("moving", "at_least(jnp.abs(sideways), 0.3, 0.3)", "It keeps moving from side to side.", 0.8),
            Term("level", "near(y, 0.0, 0.1)", "It stays on the line through the centre.", 0.5),
        )
        draft.summary = "Drive from side to side through the centre."
    return _gently(draft, wish)


def finger(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the finger and its spinner."""
    draft = Draft().let(
        spinning='state.joint_velocity("hinge")',
        fingertip='state.site_position("touchtop")',
        reach_to_spinner='jnp.linalg.norm(state.body_position("spinner") - fingertip)',
        tip_to_target='jnp.linalg.norm(state.site_position("tip") - state.body_position("target"))',
    )
    touch = Term(
        "near_spinner", "near(reach_to_spinner, 0.15, 0.3)", "The fingertip is where it can hit the spinner.", 0.2
    )
    if wish.has("still", "hang") and not wish.has("flick", "spin", "reach", "turn_to"):
        draft.add(Term("still", "near(spinning, 0.0, 1.0)", "The spinner does not turn."))
        draft.summary = "Keep the spinner still."
        return _gently(draft, wish), {"still", "hang"}
    if wish.has("reach", "turn_to") and not wish.has("spin"):
        draft.add(
            touch,
            Term("approach", "near(tip_to_target, 0.0, 0.3)", "The spinner's tip is close to the target."),
            Term("hold", "near(tip_to_target, 0.0, 0.07) * near(spinning, 0.0, 4.0)", "It stops at the target."),
        )
        draft.summary = "Turn the spinner until its tip is at the target, and stop there."
        return _gently(draft, wish), {"reach", "turn_to", "flick", "still", "goto"}
    goal = 8.0 if wish.has("slow", "easy", "gentle") else 15.0
    # To either side would reward flicking it to and fro. The finger's own task turns it this way.
    turning = f"{wish.side or -1.0:g} * spinning"
    draft.add(
        touch,
        Term("spin", f"at_least({turning}, {goal:g}, {goal:g})", f"The spinner turns: 1 from {goal:g} rad/s on.", 1.0),
    )
    draft.summary = f"Flick the spinner so that it turns at {goal:g} rad/s or faster."
    draft.check = f"{'' if wish.side > 0 else '-'}mean(qd('hinge')) > {0.5 * goal:g}"
    return _gently(draft, wish), {"spin", "flick", "fast", "left", "right", "still", "goto"}


def ball_in_cup(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the ball on a string and its cup, which move in the x-z plane."""
    draft = Draft().let(
        ball='state.site_position("ball")',
        cup='state.site_position("target")',
        distance="jnp.linalg.norm(ball - cup)",
        above="ball[2] - cup[2]",
        ball_speed='jnp.linalg.norm(state.body_linear_velocity("ball"))',
    )
    if wish.has("hang", "still") and not wish.has("catch", "swing_up"):
        draft.add(
            Term("down", "near(above, -0.35, 0.2)", "The ball hangs below the cup."),
            Term("still", "near(ball_speed, 0.0, 0.5)", "The ball does not swing."),
        )
        draft.summary = "Let the ball hang still."
        return _gently(draft, wish), {"hang", "still"}
    if wish.has("spin", "sway") and not wish.has("catch"):
        draft.add(
            Term("swing", "at_least(ball_speed, 2.0, 2.0)", "The ball moves: 1 from 2 m/s on."),
            Term("outside", "at_least(distance, 0.3, 0.3)", "The string is stretched.", 0.3),
        )
        draft.summary = "Swing the ball on its string."
        return _gently(draft, wish), {"spin", "sway", "fast"}
    draft.add(
        Term(
            "approach",
            "near(distance, 0.0, 0.25)",
            "The ball is close to the bottom of the cup: 0.1 at 25 cm, 1 in it.",
        ),
        Term("above", "at_least(above, 0.05, 0.4)", "The ball gets above the rim, from where it can fall in.", 0.5),
        Term("caught", "near(distance, 0.0, 0.05)", "The ball lies in the cup.", 2.0),
    )
    draft.summary = "Catch the ball in the cup and keep it in."
    draft.check = "mean(((pos('ball') - pos('cup'))**2).sum(-1)**0.5) < 0.12"
    return _gently(draft, wish), {"catch", "reach", "swing_up", "still", "goto", "upright", "up"}


def swimmer(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the swimmer in the plane, whose nose points along the -y axis of its head."""
    segments = '("head", "segment_0", "segment_1", "segment_2", "segment_3", "segment_4")'
    draft = Draft().let(
        ahead='-state.body_rotation("head")[:, 1]',
        velocities=f"[state.body_linear_velocity(name) for name in {segments}]",
        velocity="sum(velocities) / 6.0",
        forward_speed=f"{wish.heading:g} * jnp.dot(velocity, ahead)",
        distance='state.distance("head", "target")',
        turning='state.body_angular_velocity("head")[2]',
    )
    if wish.has("still", "hang") and not wish.has("swim", "reach"):
        draft.add(Term("still", "near(state.speed(), 0.0, 1.0)", "Nothing moves."))
        draft.summary = "Keep the swimmer still."
        return _gently(draft, wish), {"still", "hang"}
    if wish.has("reach") and not wish.has("forward", "backward"):
        draft.add(
            Term("approach", "near(distance, 0.0, 1.0)", "The head is close to the target: 0.1 at 1 m, 1 on it."),
            Term("touch", "near(distance, 0.0, 0.15)", "The head is on the target.", 1.0),
            Term("speed", "0.2 * at_least(forward_speed, 0.3, 0.3)", "It keeps swimming forward.", 0.5),
        )
        draft.summary = "Swim to the target."
        return _gently(draft, wish), {"reach", "swim", "goto", "fast"}
    if wish.has("spin") and not wish.has("swim"):
        side = -wish.side or 1.0
        draft.add(Term("turning", f"at_least({side:g} * turning, 1.5, 1.5)", "The head turns: 1 from 1.5 rad/s on."))
        draft.summary = "Turn in circles."
        return _gently(draft, wish), {"spin", "left", "right"}
    goal = wish.speed_mps or (0.15 if wish.has("slow", "easy", "gentle") else 0.5)
    draft.add(
        Term(
            "speed",
            f"at_least(forward_speed, {goal:g}, {goal:g})",
            f"It swims along its own axis: 1 from {goal:g} m/s on.",
        ),
    )
    draft.summary = f"Swim {'forward' if wish.heading > 0 else 'backward'} at {goal:g} m/s or faster."
    return _gently(draft, wish), {"swim", "forward", "backward", "fast", "slow", "easy", "run", "walk", "speed"}


def fish(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the fish in three dimensions, whose mouth points along the y axis of its torso."""
    draft = Draft().let(
        upright='0.5 * (1.0 + state.up("torso"))',
        ahead='state.body_rotation("torso")[:, 1]',
        forward_speed=f'{wish.heading:g} * jnp.dot(state.body_linear_velocity("torso"), ahead)',
        distance='jnp.linalg.norm(state.geom_position("mouth") - state.body_position("target"))',
        turning='state.body_angular_velocity("torso")[2]',
    )
    draft.add(Term("upright", "upright", "Its back is up: 1 upright, 0 upside down.", 1.0))
    covered = {"upright", "swim", "straight", "stand", "slow", "easy", "up"}
    if wish.has("reach", "goto"):
        draft.add(
            Term("approach", "near(distance, 0.0, 1.0)", "Its mouth is close to the target: 0.1 at 1 m, 1 on it."),
            Term("touch", "near(distance, 0.0, 0.15)", "Its mouth is on the target.", 1.0),
        )
        draft.summary = "Swim upright to the target."
        return _gently(draft, wish), covered | {"reach", "goto", "still", "fast"}
    if wish.has("spin", "flip"):
        side = -wish.side or 1.0
        draft.add(Term("turning", f"at_least({side:g} * turning, 2.0, 2.0)", "It turns: 1 from 2 rad/s on."))
        draft.summary = "Swim in circles, upright."
        return _gently(draft, wish), covered | {"spin", "flip", "left", "right"}
    if wish.has("still", "hang") or not wish.has("swim", "forward", "backward", "fast", "walk", "run"):
        draft.add(Term("still", "upright * near(state.speed(), 0.0, 1.0)", "It keeps still.", 0.5))
        draft.summary = "Stay upright and still in the water."
        return _gently(draft, wish), covered | {"still", "hang"}
    goal = wish.speed_mps or (0.1 if wish.has("slow", "easy", "gentle") else 0.3)
    draft.add(Term("speed", f"at_least(forward_speed, {goal:g}, {goal:g})", f"It swims: 1 from {goal:g} m/s on.", 1.5))
    draft.summary = f"Swim {'forward' if wish.heading > 0 else 'backward'} at {goal:g} m/s or faster, upright."
    return _gently(draft, wish), covered | {"forward", "backward", "fast", "walk", "run", "speed"}


def _gently(draft: Draft, wish: Wish) -> Draft:
    gentle = "Little control is used: the mean squared action, which costs."
    return draft.add(Term("effort", "state.effort()", gentle, wish.effort_weight))
