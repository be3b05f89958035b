"""Rewards for what robots on legs do beside getting somewhere: dance, wave, walk sideways, stand on two of four legs.

The policy does not see the time, so a rhythm is an orbit in the plane of a position and its rate: at a distance of 1
from its centre, in units of the amplitude and of the rate that goes with it, it has the wanted frequency.
"""

from __future__ import annotations

import math

from tabrl_rewardgen.library.draft import Draft, Term
from tabrl_rewardgen.library.reading import Wish
from tabrl_rewardgen.library.runner import Runner, standing_quantity

__all__ = ["dancing", "on_two_legs", "sidestepping", "waving"]

_BEAT_HZ = 1.8
_SLOW_BEAT_HZ = 1.0
_WAVE_HZ = 1.0
_WAVE_RAD = 0.35


def orbit(offset: str, rate: str, amplitude: float, frequency_hz: float) -> str:
    """Return an expression that is 1 where something goes to and fro with this amplitude and frequency.

    Args:
        offset: expression for how far it is from the middle.
        rate: expression for its rate of change.
        amplitude: how far it goes to either side, in the unit of the offset.
        frequency_hz: how often in a second.
    """
    top = fastest(amplitude, frequency_hz)
    return f"near(jnp.hypot(({offset}) / {amplitude:.3g}, ({rate}) / {top:.3g}), 1.0, 0.6)"


def fastest(amplitude: float, frequency_hz: float) -> float:
    """Return the largest rate of a sine, in the unit of its amplitude a second."""
    return amplitude * 2.0 * math.pi * frequency_hz


def dancing(draft: Draft, body: Runner, wish: Wish) -> Draft:
    """Bounce to a beat and wiggle."""
    beat = _SLOW_BEAT_HZ if wish.has("slow", "easy", "gentle") else _BEAT_HZ
    bounce = max(0.02, round(0.08 * body.standing, 3))
    middle = round(body.standing - bounce, 3)
    draft.let(standing=standing_quantity(body, slack=2 * bounce)).add(
        Term("upright", "upright", "It stays upright: 1 upright, 0 upside down."),
        Term("feet", "standing", "It stays on its legs, as high as it stands and a little lower."),
        Term(
            "bounce",
            f"standing * {orbit(f'height - {middle:g}', 'rising', bounce, beat)}",
            f"It bounces by {bounce:g} m to either side, {beat:g} times a second.",
            0.5,
        ),
        # A robot that freezes at one end of its bounce is on the orbit too: only one that moves earns this.
        Term(
            "beat",
            f"standing * at_least(jnp.abs(rising), {fastest(bounce, beat):.3g}, {fastest(bounce, beat):.3g})",
            "Its body keeps going up and down.",
            2.0,
        ),
        Term("place", f"standing * {level_speed(body)}", "It dances on the spot.", 0.3),
    )
    if not body.planar:
        wiggle = "standing * at_least(jnp.abs(turning[2]), 0.5, 0.5)"
        draft.add(Term("wiggle", wiggle, "Its hips turn while it bounces.", 0.3))
    draft.summary = f"Let the {body.title} bounce to a beat of {beat:g} Hz{'' if body.planar else ' and wiggle'}."
    return draft


def sidestepping(draft: Draft, body: Runner, wish: Wish) -> Draft:
    """Walk sideways, to the left unless the right is asked for."""
    side = -wish.side or 1.0
    goal = wish.speed_mps or round(0.8 * body.walk, 2)
    draft.let(standing=standing_quantity(body)).add(
        Term("feet", "standing", "It stands tall and upright."),
        Term(
            "sideways",
            f"(0.2 + 0.8 * standing) * at_least({side:g} * velocity[1], {goal:g}, {goal:g})",
            f"It moves to its {'left' if side > 0 else 'right'}: 1 from {goal:g} m/s on.",
            2.0,
        ),
        Term("course", "standing * near(forward_speed, 0.0, 0.3) * near(turning[2], 0.0, 0.5)", "No other way.", 0.7),
    )
    draft.summary = f"Let the {body.title} walk sideways to its {'left' if side > 0 else 'right'} at {goal:g} m/s."
    return draft


def waving(draft: Draft, body: Runner, wish: Wish) -> Draft:
    """Raise an arm and swing its forearm."""
    hand = "left" if wish.has("left") and not wish.has("right") else "right"
    shoulder, elbow, raised = body.arm(hand)
    draft.let(
        standing=standing_quantity(body),
        shoulder=f'state.joint_position("{shoulder}")',
        forearm=f'state.joint_position("{elbow}") - {body.elbow_rest:g}',
        forearm_rate=f'state.joint_velocity("{elbow}")',
    ).add(
        Term("feet", "standing", "It stands tall and upright."),
        Term("raised", f"standing * near(shoulder, {raised:g}, 1.0)", f"Its {hand} arm is raised.", 0.7),
        Term(
            "wave",
            f"standing * {orbit('forearm', 'forearm_rate', _WAVE_RAD, _WAVE_HZ)}",
            f"Its {hand} forearm swings to and fro, once a second.",
            0.5,
        ),
        Term(
            "swing",
            f"standing * at_least(jnp.abs(forearm_rate), {fastest(_WAVE_RAD, _WAVE_HZ):.3g}, "
            f"{fastest(_WAVE_RAD, _WAVE_HZ):.3g})",
            "Its forearm keeps moving.",
            2.0,
        ),
        Term("place", f"standing * {level_speed(body)}", "It stays on the spot.", 0.7),
    )
    draft.summary = f"Let the {body.title} stand and wave its {hand} hand."
    return draft


def on_two_legs(draft: Draft, body: Runner, wish: Wish) -> Draft:
    """Stand on the front legs, or on the hind legs: the body's x axis points down, or up."""
    front = not wish.has("rear_up")
    nose = f'state.body_rotation("{body.body}")[2, 0]'
    draft.let(tilt=f"0.5 * (1.0 {'-' if front else '+'} {nose})").add(
        Term("tilt", "tilt", f"Its nose points {'down' if front else 'up'}: 1 straight, 0 the other way.", 1.5),
        Term("hold", "tilt * tilt * near(state.speed(), 0.0, 15.0)", "It holds that without thrashing about.", 0.7),
        Term("high", f"tilt * at_least({body.height}, {body.standing:g}, {body.standing:g})", "It is up high.", 0.7),
    )
    draft.summary = f"Let the {body.title} stand on its {'front' if front else 'hind'} legs."
    return draft


def level_speed(body: Runner, margin: float = 0.5) -> str:
    """Return an expression that is 1 where the body goes nowhere."""
    speed = "forward_speed" if body.planar else "jnp.hypot(velocity[0], velocity[1])"
    return f"near({speed}, 0.0, {margin:g})"
