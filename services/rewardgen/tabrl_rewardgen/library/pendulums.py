"""Rewards for poles on joints: the cart and pole, the pendulum, the two-link acrobot."""

from __future__ import annotations

from tabrl_rewardgen.library.draft import Draft, Term
from tabrl_rewardgen.library.reading import Wish

__all__ = ["acrobot", "cartpole", "pendulum"]

_TRACK_M = 1.6
_SWAY_M = 0.5
_WIDEST_SWAY_M = 1.2


def cartpole(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the cart and pole, and the concepts it covers.

    The cart's track runs along x, right is positive.
    """
    draft = Draft().let(
        up='state.up("pole_1")',
        pole_speed='state.joint_velocity("hinge_1")',
        x='state.joint_position("slider")',
        cart_speed='state.joint_velocity("slider")',
    )
    target, where = _cart_target(wish)
    _say_what_of_the_distance_is_left_out(draft, wish, where)
    if wish.has("hang") and not wish.has("upright", "swing_up"):
        draft.add(
            Term("down", "0.5 * (1.0 - up)", "The pole points down: 1 straight down, 0 straight up."),
            Term("pole_still", "near(pole_speed, 0.0, 1.0)", "The pole does not swing.", 0.5),
            Term("place", f"near(x, {target:g}, 1.0)", f"The cart is {where}.", 0.3),
        )
        draft.summary = f"Let the pole hang down at rest, the cart {where}."
        draft.check = "mean(up('pole_1')) < -0.9"
        return _gently(draft, wish), {"hang", "still", "goto", "left", "right", "distance"}
    if wish.has("spin") and not wish.has("upright"):
        draft.add(
            Term("turning", "at_least(jnp.abs(pole_speed), 10.0, 10.0)", "The pole turns: 1 from 10 rad/s on."),
            Term("place", f"near(x, {target:g}, 1.0)", f"The cart stays {where}.", 0.3),
        )
        draft.summary = f"Spin the pole round and round, the cart {where}."
        draft.check = "abs(turns(q('hinge_1'))) > 3"
        return _gently(draft, wish), {"spin", "goto", "fast", "left", "right", "distance"}
    draft.add(
        Term("upright", "0.5 * (1.0 + up)", "The pole points up: 1 straight up, 0 straight down."),
        Term("straight", "near(1.0 - up, 0.0, 0.1)", "The pole is close to vertical, within about 10 degrees.", 0.5),
    )
    covered = {"upright", "stand", "swing_up", "straight", "up", "goto", "left", "right", "distance"}
    if wish.has("sway"):
        speed = 0.8 if wish.has("gentle", "slow", "easy") else 1.5 if wish.has("fast") else 1.0
        size = min(wish.distance_m or _SWAY_M, _WIDEST_SWAY_M)
        around = f" of a place {where}" if target else " of the middle"
        draft.let(
            aside=f"(x - {target:g}) / {size:g}" if target else f"x / {size:g}",
            speed=f"cart_speed / {speed:g}",
            pull=f"state.qacc[0] / {speed * speed / size:g}",
            sway_size="jnp.hypot(aside, speed)",
            # Of a swing as on a spring, all three go round together: this is 1 at its full size, 0 for one that waits.
            swing="jnp.clip(speed * speed - aside * pull, 0.0, 1.0) * near(pull + aside, 0.0, 3.0)",
            # A falling pole must cost more than swaying can earn: nothing is left of the factor at 45 degrees.
            held="near(1.0 - up, 0.0, 0.3)",
        ).add(
            Term(
                "sway",
                "held * swing * near(sway_size, 1.0, 1.2)",
                f"The cart swings as on a spring: {size:g} m aside, {speed:g} m/s in between.",
                3.0,
            ),
        )
        draft.summary = f"Keep the pole upright while the cart sways {size:g} m to either side{around}."
        draft.check = f"mean(up('pole_1')) > 0.8 and amp(q('slider')) > {0.4 * size:g}"
        return _gently(draft, wish, 0.3), covered | {"sway"}
    draft.add(
        Term(
            "place",
            f"0.5 * (1.0 + up) * near(x, {target:g}, 1.0)",
            f"The cart is {where} while the pole is up.",
            1.0 if target else 0.5,
        ),
        Term(
            "calm", "0.5 * (1.0 + up) * near(cart_speed, 0.0, 2.0) * near(pole_speed, 0.0, 5.0)", "Both are calm.", 0.3
        ),
    )
    verb = "Swing the pole up and hold it" if wish.has("swing_up") else "Balance the pole upright"
    draft.summary = f"{verb}, the cart {where}."
    draft.check = f"mean(up('pole_1')) > 0.9 and abs(mean(q('slider')) - {target:g}) < 0.3"
    return _gently(draft, wish), covered | {"still"}


def _say_what_of_the_distance_is_left_out(draft: Draft, wish: Wish, where: str) -> None:
    if wish.distance_m is None:
        return
    if wish.has("sway"):
        if wish.distance_m > _WIDEST_SWAY_M:
            draft.leave_out(f"{wish.distance_m:g} m: the track is short, so the cart sways by {_WIDEST_SWAY_M:g} m")
    elif not wish.side:
        draft.leave_out(f"{wish.distance_m:g} m: neither left nor right is said")
    elif wish.distance_m > _TRACK_M:
        draft.leave_out(f"{wish.distance_m:g} m: the track ends before, so the cart is kept {where}")


def _cart_target(wish: Wish) -> tuple[float, str]:
    if not wish.side:
        return 0.0, "in the middle of the track"
    metres = 1.0 if wish.distance_m is None else wish.distance_m
    if wish.distance_m is None and wish.has("gentle"):
        metres = 0.4
    metres = min(metres, _TRACK_M)
    return wish.side * metres, f"{metres:g} m to the {'right' if wish.side > 0 else 'left'} of the middle"


def pendulum(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the pendulum, and the concepts it covers."""
    draft = Draft().let(up='state.up("pole")', turning='state.joint_velocity("hinge")')
    if wish.has("hang") and not wish.has("swing_up"):
        draft.add(
            Term("down", "0.5 * (1.0 - up)", "The pendulum points down: 1 straight down, 0 straight up."),
            Term("still", "near(turning, 0.0, 1.0)", "It does not swing.", 0.7),
        )
        draft.summary = "Let the pendulum hang still at the bottom."
        draft.check = "mean(up('pole')) < -0.9 and mean(abs(qd('hinge'))) < 0.3"
        return _gently(draft, wish), {"hang", "still", "straight"}
    if wish.has("spin", "flip"):
        return _spinning(draft, wish, "turning", "pendulum"), {
            "spin",
            "flip",
            "fast",
            "left",
            "right",
            "forward",
            "backward",
        }
    if wish.has("sway") and not wish.has("upright", "swing_up"):
        draft.add(
            Term("low", "near(up, -0.85, 0.3)", "It stays near the bottom."),
            Term("moving", "at_least(jnp.abs(turning), 1.5, 1.5)", "It keeps swinging to and fro."),
        )
        draft.summary = "Let the pendulum swing to and fro near the bottom."
        return _gently(draft, wish), {"sway"}
    draft.add(
        Term("height", "0.5 * (1.0 + up)", "The pendulum points up: 1 straight up, 0 straight down."),
        Term("hold", "near(1.0 - up, 0.0, 0.3) * near(turning, 0.0, 4.0)", "Near the top it comes to rest."),
    )
    draft.summary = "Swing the pendulum up and hold it upright."
    draft.check = "mean(up('pole')) > 0.6"
    return _gently(draft, wish), {"swing_up", "upright", "stand", "straight", "still", "up"}


def acrobot(wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for the acrobot, whose shoulder is 2 m high and whose links are 1 m long each."""
    draft = Draft().let(
        upper='state.up("upper_arm")',
        lower='state.up("lower_arm")',
        tip_height='state.site_position("tip")[2]',
        elbow_height='state.body_height("lower_arm")',
        turning='state.joint_velocity("shoulder")',
        bending='state.joint_velocity("elbow")',
    )
    if wish.has("hang") and not wish.has("swing_up"):
        draft.add(
            Term("down", "0.25 * (2.0 - upper - lower)", "Both links point down."),
            Term("still", "near(turning, 0.0, 1.0) * near(bending, 0.0, 1.0)", "Neither joint moves.", 0.7),
        )
        draft.summary = "Let both links hang still."
        return _gently(draft, wish), {"hang", "still"}
    if wish.has("spin", "flip"):
        return _spinning(draft, wish, "turning", "acrobot"), {"spin", "flip", "fast", "left", "right"}
    draft.add(
        Term("height", "0.25 * tip_height", "The tip is high: 1 at its highest, 4 m above the ground.", 1.0),
        Term("elbow", "at_least(elbow_height, 3.0, 2.0)", "The elbow is above the shoulder.", 0.7),
        Term(
            "hold",
            "near(tip_height, 4.0, 0.8) * near(turning, 0.0, 5.0) * near(bending, 0.0, 8.0)",
            "Near the top it comes to rest.",
        ),
    )
    draft.summary = "Swing both links up and hold the tip as high as possible."
    draft.check = "mean(up('upper_arm')) + mean(up('lower_arm')) > 1.0"
    return _gently(draft, wish), {"swing_up", "upright", "stand", "straight", "still", "up", "reach"}


def _spinning(draft: Draft, wish: Wish, joint_speed: str, what: str) -> Draft:
    goal = (wish.has("fast") and 12.0) or 8.0
    draft.add(
        Term("spin", f"at_least(jnp.abs({joint_speed}), {goal:g}, {goal:g})", f"It turns: 1 from {goal:g} rad/s on.")
    )
    if wish.side:
        draft.add(
            Term(
                "direction",
                f"at_least({wish.side:g} * {joint_speed}, {goal:g}, {2 * goal:g})",
                f"It turns to the {'right' if wish.side > 0 else 'left'}.",
                0.5,
            )
        )
    draft.summary = f"Spin the {what} round and round."
    return draft


def _gently(draft: Draft, wish: Wish, scale: float = 1.0) -> Draft:
    gentle = "Little control is used: the mean squared action, which costs."
    return draft.add(Term("effort", "state.effort()", gentle, round(wish.effort_weight * scale, 3)))
