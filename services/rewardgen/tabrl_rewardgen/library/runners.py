"""Rewards for walkers: the planar cheetah, walker and hopper, the humanoid, and robots on legs."""

from __future__ import annotations

from dataclasses import dataclass

from tabrl_rewardgen.library.draft import Draft, Term
from tabrl_rewardgen.library.reading import Wish

__all__ = ["CHEETAH", "HOPPER", "HUMANOID", "WALKER", "Runner", "legged", "runner"]


@dataclass(frozen=True)
class Runner:
    """What distinguishes one runner from another. Heights in m, speeds in m/s.

    `height` is an expression whose value is `standing` when it stands tall and `crouched` when it crouches; `body` is
    the one whose z axis points up then, and its x axis ahead.
    """

    title: str
    height: str
    standing: float
    crouched: float
    margin: float
    walk: float
    run: float
    planar: bool = True
    body: str = "torso"

    @property
    def velocity(self) -> str:
        """An expression for the velocity ahead, to the left and up, which in the plane are the world's axes."""
        kind = "body_linear_velocity" if self.planar else "heading_velocity"
        return f'state.{kind}("{self.body}")'

    @property
    def upright(self) -> str:
        """An expression that is 1 upright and 0 upside down."""
        return f'0.5 * (1.0 + state.up("{self.body}"))'


CHEETAH = Runner("cheetah", 'state.body_height("torso")', 0.55, 0.35, 0.4, 2.0, 10.0)
WALKER = Runner("walker", 'state.body_height("torso")', 1.2, 0.7, 0.6, 1.2, 8.0)
HOPPER = Runner("hopper", 'state.body_height("torso") - state.body_height("foot")', 0.8, 0.4, 0.8, 1.0, 3.0)
HUMANOID = Runner("humanoid", 'state.body_height("head")', 1.5, 1.0, 0.8, 1.0, 10.0, planar=False)


def legged(title: str, body: str, standing: float, *, walk: float, run: float) -> Runner:
    """Return a robot on legs, whose `body` is `standing` m high when it stands with its knees a little bent."""
    height = f'state.body_height("{body}")'
    tall, crouched, margin = (round(share * standing, 3) for share in (0.95, 0.65, 0.5))
    return Runner(title, height, tall, crouched, margin, walk, run, planar=False, body=body)


_ALWAYS = {"upright", "stand", "straight", "up", "slow", "fast", "forward", "backward"}


def runner(body: Runner, wish: Wish) -> tuple[Draft, set[str]]:
    """Return a draft for a runner, and the concepts it covers."""
    draft = Draft().let(
        height=body.height,
        upright=body.upright,
        velocity=body.velocity,
        turning=f'state.body_angular_velocity("{body.body}")',
        forward_speed="velocity[0]",
        rising="velocity[2]",
    )
    if wish.has("flip"):
        return _flipping(draft, body, wish), {"flip", "spin", "forward", "backward", "fast", "hop"}
    if wish.has("spin") and not body.planar:
        return _spinning(draft, body, wish), {"spin", "left", "right"} | _ALWAYS
    if wish.has("crouch", "crawl"):
        return _crouching(draft, body, wish), {"crouch", "crawl", "still", "walk"} | _ALWAYS
    if wish.has("hop"):
        return _hopping(draft, body, wish), {"hop", "still"} | _ALWAYS
    onwards = wish.has("forward", "backward", "fast") and not wish.has("still")
    if wish.has("run", "walk") or onwards or wish.speed_mps is not None:
        return _travelling(draft, body, wish), {"run", "walk", "goto"} | _ALWAYS
    return _standing(draft, body, wish), {"still", "goto"} | _ALWAYS


def _postured(draft: Draft, body: Runner, wish: Wish, weight: float = 1.0) -> Draft:
    return draft.add(
        Term(
            "height",
            f"at_least(height, {body.standing:g}, {body.margin:g})",
            f"It stands tall: 1 from {body.standing:g} m on.",
            weight,
        ),
        Term("upright", "upright", "Its torso is upright: 1 upright, 0 upside down.", 0.5 * weight),
    )


def _standing(draft: Draft, body: Runner, wish: Wish) -> Draft:
    _postured(draft, body, wish)
    draft.let(standing=f"at_least(height, {body.standing:g}, {body.margin:g}) * upright").add(
        Term(
            "still", f"standing * {_level_speed(body)}", "It stands on the spot, with no speed in any direction.", 0.7
        ),
        Term("calm", "standing * near(state.speed(), 0.0, 10.0)", "Its joints are calm.", 0.2),
    )
    draft.summary = f"Let the {body.title} stand upright on the spot."
    return _gently(draft, wish)


def _level_speed(body: Runner) -> str:
    if body.planar:
        return "near(forward_speed, 0.0, 0.5)"
    return "near(jnp.hypot(velocity[0], velocity[1]), 0.0, 0.5)"


def _travelling(draft: Draft, body: Runner, wish: Wish) -> Draft:
    running = wish.has("run") or (wish.has("fast") and not wish.has("slow"))
    goal = body.run if running else body.walk
    if wish.speed_mps is not None:
        goal = max(wish.speed_mps, 0.1)
    elif wish.heading < 0:
        goal = 0.5 * goal if running else goal
    if wish.has("slow") and wish.speed_mps is None and not wish.has("walk"):
        goal = body.walk
    _postured(draft, body, wish, 0.6)
    draft.let(
        ahead="forward_speed" if wish.heading > 0 else "-forward_speed",
        standing=f"at_least(height, {body.standing:g}, {body.margin:g}) * upright",
    )
    if running and wish.speed_mps is None:
        speed = f"at_least(ahead, {goal:g}, {goal:g})"
        explanation = f"It moves {_way(wish)}: 1 from {goal:g} m/s on, 0 when it stands."
    else:
        speed = f'tolerance(ahead, {0.9 * goal:g}, {1.1 * goal:g}, {max(goal, 0.5):g}, "linear")'
        explanation = f"It moves {_way(wish)} at {goal:g} m/s, no slower and no faster."
    gate = "upright" if body.title == "cheetah" else "standing"
    draft.add(Term("speed", f"(0.2 + 0.8 * {gate}) * {speed}", explanation, 2.0))
    if not body.planar:
        draft.add(Term("course", "standing * near(velocity[1], 0.0, 0.5)", "It does not drift sideways.", 0.2))
    draft.summary = f"Let the {body.title} move {_way(wish)} at {goal:g} m/s{' or more' if running else ''}, upright."
    return _gently(draft, wish)


def _way(wish: Wish) -> str:
    return "forward" if wish.heading > 0 else "backward"


def _crouching(draft: Draft, body: Runner, wish: Wish) -> Draft:
    low = body.crouched
    moving = wish.has("walk", "forward", "backward", "crawl")
    draft.let(crouched=f"near(height, {low:g}, {0.4 * body.standing:g}) * upright").add(
        Term(
            "low",
            f"near(height, {low:g}, {0.4 * body.standing:g})",
            f"It is low: {low:g} m instead of {body.standing:g} m.",
        ),
        Term("upright", "upright", "Its torso stays upright: 1 upright, 0 upside down."),
    )
    if moving:
        speed = wish.speed_mps or 0.5 * body.walk
        ahead = f"{wish.heading:g} * forward_speed"
        wanted = f'tolerance({ahead}, {0.8 * speed:g}, {1.2 * speed:g}, {speed:g}, "linear")'
        draft.add(
            Term(
                "speed",
                f"crouched * {wanted}",
                f"It moves {_way(wish)} at {speed:g} m/s while it is low.",
            )
        )
    else:
        draft.add(Term("still", f"crouched * {_level_speed(body)}", "It stays on the spot while it is low.", 0.5))
    draft.summary = f"Let the {body.title} crouch {low:g} m high without falling."
    return _gently(draft, wish)


def _hopping(draft: Draft, body: Runner, wish: Wish) -> Draft:
    _postured(draft, body, wish, 0.5)
    in_place = wish.has("still") and not wish.has("forward", "backward")
    goal = wish.speed_mps or body.walk
    draft.let(standing=f"at_least(height, {body.standing:g}, {body.margin:g}) * upright")
    if in_place:
        draft.add(Term("place", f"standing * {_level_speed(body)}", "It stays on the spot.", 0.5))
    else:
        draft.add(
            Term(
                "speed",
                f"(0.2 + 0.8 * standing) * at_least({wish.heading:g} * forward_speed, {goal:g}, {goal:g})",
                f"It moves {_way(wish)}: 1 from {goal:g} m/s on.",
                1.5,
            )
        )
    draft.add(
        Term("bounce", "standing * at_least(jnp.abs(rising), 1.0, 1.0)", "Its body goes up and down: 1 from 1 m/s on.")
    )
    place = "on the spot" if in_place else _way(wish)
    draft.summary = f"Let the {body.title} hop {place}."
    return _gently(draft, wish)


def _flipping(draft: Draft, body: Runner, wish: Wish) -> Draft:
    goal = 8.0
    draft.add(
        Term(
            "turning",
            f"at_least({wish.heading:g} * turning[1], {goal:g}, {goal:g})",
            f"It turns over its head {_way(wish)}: 1 from {goal:g} rad/s on.",
            2.0,
        ),
        Term(
            "height",
            f'at_least(state.body_height("{body.body}"), {1.3 * body.standing:g}, {body.standing:g})',
            "It leaves the ground.",
            0.5,
        ),
    )
    draft.summary = f"Let the {body.title} turn somersaults {_way(wish)}."
    return _gently(draft, wish)


def _spinning(draft: Draft, body: Runner, wish: Wish) -> Draft:
    _postured(draft, body, wish)
    side = -wish.side or 1.0
    draft.let(standing=f"at_least(height, {body.standing:g}, {body.margin:g}) * upright").add(
        Term(
            "turning",
            f"standing * at_least({side:g} * turning[2], 2.0, 2.0)",
            f"It turns on the spot to the {'left' if side > 0 else 'right'}: 1 from 2 rad/s on.",
        ),
        Term("place", f"standing * {_level_speed(body)}", "It stays where it is.", 0.3),
    )
    draft.summary = f"Let the {body.title} turn on the spot."
    return _gently(draft, wish)


def _gently(draft: Draft, wish: Wish) -> Draft:
    gentle = "Little control is used: the mean squared action, which costs."
    return draft.add(Term("effort", "state.effort()", gentle, wish.effort_weight))
