"""Rewards for walkers: the planar cheetah, walker and hopper, the humanoid, and robots on legs."""

from __future__ import annotations

import re
from collections.abc import Callable

from tabrl_rewardgen.library.draft import Draft, Term
from tabrl_rewardgen.library.gestures import dancing, level_speed, on_two_legs, sidestepping, waving
from tabrl_rewardgen.library.reading import Wish
from tabrl_rewardgen.library.runner import Arms, Runner, standing_quantity

__all__ = ["CHEETAH", "HOPPER", "HUMANOID", "WALKER", "Arms", "Runner", "legged", "runner"]


CHEETAH = Runner("cheetah", 'state.body_height("torso")', 0.55, 0.35, 0.4, 2.0, 10.0)
WALKER = Runner("walker", 'state.body_height("torso")', 1.2, 0.7, 0.6, 1.2, 8.0)
HOPPER = Runner("hopper", 'state.body_height("torso") - state.body_height("foot")', 0.7, 0.4, 0.7, 1.0, 3.0)
HUMANOID = Runner(
    "humanoid",
    'state.body_height("head")',
    1.5,
    1.0,
    0.8,
    1.0,
    10.0,
    planar=False,
    arms=Arms("{side}_shoulder1", "{side}_elbow", 0.9),
)


def legged(
    title: str,
    body: str,
    standing: float,
    *,
    walk: float,
    run: float,
    arms: Arms | None = None,
    four_legs: bool = False,
) -> Runner:
    """Return a robot on legs, whose `body` is `standing` m high when it stands with its knees a little bent."""
    height = f'state.body_height("{body}")'
    tall, crouched, margin = (round(share * standing, 3) for share in (0.95, 0.65, 0.5))
    return Runner(
        title, height, tall, crouched, margin, walk, run, planar=False, body=body, arms=arms, four_legs=four_legs
    )


_REMARK_ABOVE_TIMES_RUN = 1.5
"""How many times as fast as it runs a robot may be asked to move before a remark is made."""

_AT_LEAST = re.compile(r"\b(?:at least|no slower than|or (?:more|faster)|minimum)\b")
_HIGH = re.compile(r"\b(?:high|higher|highest)\b")

_ALWAYS = frozenset({"upright", "stand", "straight", "up", "slow", "easy", "fast", "forward", "backward"})


def runner(body: Runner, wish: Wish) -> tuple[Draft, frozenset[str]]:
    """Return a draft for a runner, and the concepts it covers."""
    draft = Draft().let(
        height=body.height,
        upright=body.upright,
        velocity=body.velocity,
        turning=f'state.body_angular_velocity("{body.body}")',
        forward_speed="velocity[0]",
        rising="velocity[2]",
    )
    if wish.speed_mps is not None and wish.speed_mps > _REMARK_ABOVE_TIMES_RUN * body.run:
        draft.remark(f"{wish.speed_mps:g} m/s may be beyond the {body.title}, which runs at {body.run:g} m/s")
    for is_wanted, drafted, covered in _BEHAVIOURS:
        if is_wanted(body, wish):
            return drafted(draft, body, wish), covered
    raise AssertionError("the last of the behaviours is for whatever is left")


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
    draft.let(standing=standing_quantity(body)).add(
        Term("upright", "upright", "Its torso is upright: 1 upright, 0 upside down.", 0.25),
        Term("height", "standing", f"It stands tall and upright: 1 from {body.standing:g} m on."),
        Term("still", f"standing * {level_speed(body, 0.15)}", "It stands on the spot, without drifting."),
        Term("calm", "standing * near(state.speed(), 0.0, 10.0)", "Its joints are calm.", 0.2),
    )
    draft.summary = f"Let the {body.title} stand upright on the spot."
    draft.check = (
        f"mean(up('{body.body}')) > 0.8 and mean(abs({_speed_ahead(body, wish)})) < 0.3{_is_higher(body, 0.8)}"
    )
    return _gently(draft, wish)


def _travelling(draft: Draft, body: Runner, wish: Wish) -> Draft:
    running = wish.has("run") or (wish.has("fast") and not wish.has("slow", "easy"))
    if wish.has("forward") and wish.has("backward"):
        draft.leave_out("backward: a reward sees one moment at a time, so it moves forward")
    goal = _pace(body, wish, running=running)
    _postured(draft, body, wish, 0.6)
    draft.let(
        ahead="forward_speed" if wish.heading > 0 else "-forward_speed",
        standing=standing_quantity(body),
    )
    as_fast_as_it_can = running and wish.speed_mps is None and not wish.has("slow", "easy")
    at_least = as_fast_as_it_can or (wish.speed_mps is not None and _AT_LEAST.search(wish.text) is not None)
    if at_least:
        speed = f"at_least(ahead, {goal:g}, {goal:g})"
        explanation = f"It moves {_way(wish)}: 1 from {goal:g} m/s on, 0 when it stands."
    else:
        speed = f'tolerance(ahead, {0.9 * goal:g}, {1.1 * goal:g}, {max(goal, 0.5):g}, "linear")'
        explanation = f"It moves {_way(wish)} at {round(goal, 2):g} m/s, no slower and no faster."
    gate = "upright" if body.title == "cheetah" else "standing"
    draft.add(Term("speed", f"(0.2 + 0.8 * {gate}) * {speed}", explanation, 2.0))
    if not body.planar:
        draft.add(Term("course", "standing * near(velocity[1], 0.0, 0.5)", "It does not drift sideways.", 0.2))
    draft.summary = (
        f"Let the {body.title} move {_way(wish)} at {round(goal, 2):g} m/s{' or more' if at_least else ''}, upright."
    )
    speed_of_body = _speed_ahead(body, wish)
    draft.check = f"mean({speed_of_body}) > {0.6 * goal:.3g} and mean(up('{body.body}')) > 0.5"
    if not at_least:
        draft.check += f" and mean({speed_of_body}) < {1.5 * goal:.3g}"
    return _gently(draft, wish)


def _pace(body: Runner, wish: Wish, *, running: bool) -> float:
    """Return how fast to move, in m/s."""
    if wish.speed_mps is not None:
        return max(wish.speed_mps, 0.1)
    if not running:
        return 0.5 * body.walk if wish.has("slow") else body.walk
    if wish.has("slow", "easy"):
        return body.walk
    return 0.5 * body.run if wish.heading < 0 else body.run


def _speed_ahead(body: Runner, wish: Wish) -> str:
    """Return the part of a check that is its speed the way that is wanted, in m/s."""
    sign = "" if wish.heading > 0 else "-"
    return f"{sign}vel('{body.body}')[:, 0]" if body.planar else f"{sign}fwd('{body.body}')"


def _is_higher(body: Runner, share: float) -> str:
    """Return the part of a check that it is higher than a share of its stance; nothing where its feet are no ground."""
    if body.height != f'state.body_height("{body.body}")':
        return ""
    return f" and mean(pos('{body.body}')[:, 2]) > {share * body.standing:.3g}"


def _way(wish: Wish) -> str:
    return "forward" if wish.heading > 0 else "backward"


def _crouching(draft: Draft, body: Runner, wish: Wish) -> Draft:
    low = body.crouched
    moving = wish.has("walk", "forward", "backward", "crawl") or wish.speed_mps is not None
    draft.let(crouched=f"near(height, {low:g}, {0.35 * body.standing:g}) * upright * upright").add(
        Term("upright", "upright", "Its torso stays upright: 1 upright, 0 upside down.", 0.5),
        Term("low", "crouched", f"It is low and upright: {low:g} m instead of {body.standing:g} m.", 1.5),
    )
    if moving:
        speed = wish.speed_mps or (0.25 if wish.has("slow") else 0.5) * body.walk
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
        draft.add(Term("still", f"crouched * {level_speed(body)}", "It stays on the spot while it is low.", 0.5))
    draft.summary = f"Let the {body.title} crouch {low:g} m high without falling."
    return _gently(draft, wish)


def _hopping(draft: Draft, body: Runner, wish: Wish) -> Draft:
    _postured(draft, body, wish, 0.5)
    in_place = wish.has("still") and not wish.has("forward", "backward")
    goal = wish.speed_mps or (0.5 if wish.has("slow") else 1.0) * body.walk
    draft.let(standing=standing_quantity(body))
    if in_place:
        draft.add(Term("place", f"standing * {level_speed(body)}", "It stays on the spot.", 0.5))
    else:
        draft.add(
            Term(
                "speed",
                f"(0.2 + 0.8 * standing) * at_least({wish.heading:g} * forward_speed, {goal:g}, {goal:g})",
                f"It moves {_way(wish)}: 1 from {goal:g} m/s on.",
                1.5,
            )
        )
    if _HIGH.search(wish.text):
        draft.leave_out("how high: it is asked to go up and down at 1 m/s or faster, however high that is")
    draft.add(
        Term("bounce", "standing * at_least(jnp.abs(rising), 1.0, 1.0)", "Its body goes up and down: 1 from 1 m/s on.")
    )
    place = "on the spot" if in_place else _way(wish)
    draft.summary = f"Let the {body.title} hop {place}."
    draft.check = f"amp(pos('{body.body}')[:, 2]) > 0.03"
    if not in_place:
        draft.check += f" and mean({_speed_ahead(body, wish)}) > {0.4 * goal:.3g}"
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
    draft.let(standing=standing_quantity(body)).add(
        Term(
            "turning",
            f"standing * at_least({side:g} * turning[2], 2.0, 2.0)",
            f"It turns on the spot to the {'left' if side > 0 else 'right'}: 1 from 2 rad/s on.",
        ),
        Term("place", f"standing * {level_speed(body)}", "It stays where it is.", 0.3),
    )
    draft.summary = f"Let the {body.title} turn on the spot."
    return _gently(draft, wish)


def _gently(draft: Draft, wish: Wish) -> Draft:
    gentle = "Little control is used: the mean squared action, which costs."
    return draft.add(Term("effort", "state.effort()", gentle, wish.effort_weight))


def _travels(wish: Wish) -> bool:
    onwards = wish.has("forward", "backward", "fast") and not wish.has("still")
    return wish.has("run", "walk") or onwards or wish.speed_mps is not None


def _turns(wish: Wish) -> bool:
    return wish.has("spin") or (wish.has("turn") and not wish.has("run"))


Behaviour = tuple[Callable[[Runner, Wish], bool], Callable[[Draft, Runner, Wish], Draft], frozenset[str]]

_BEHAVIOURS: tuple[Behaviour, ...] = (
    (
        lambda _, wish: wish.has("flip"),
        _flipping,
        frozenset({"flip", "spin", "forward", "backward", "fast", "hop"}),
    ),
    (
        lambda _, wish: wish.has("dance"),
        lambda draft, body, wish: _gently(dancing(draft, body, wish), wish),
        frozenset({"dance", "rhythm", "hop", "sway", "still", "crouch"}) | _ALWAYS,
    ),
    (
        lambda body, wish: wish.has("wave") and body.arms is not None,
        lambda draft, body, wish: _gently(waving(draft, body, wish), wish),
        frozenset({"wave", "still", "left", "right"}) | _ALWAYS,
    ),
    (
        lambda body, wish: wish.has("handstand", "rear_up") and body.four_legs,
        lambda draft, body, wish: _gently(on_two_legs(draft, body, wish), wish),
        frozenset({"handstand", "rear_up", "still"}) | _ALWAYS,
    ),
    (
        lambda body, wish: wish.has("sideways") and not body.planar,
        lambda draft, body, wish: _gently(sidestepping(draft, body, wish), wish),
        frozenset({"sideways", "walk", "left", "right", "speed"}) | _ALWAYS,
    ),
    (
        lambda body, wish: _turns(wish) and not body.planar,
        _spinning,
        frozenset({"spin", "turn", "still", "left", "right"}) | _ALWAYS,
    ),
    (
        lambda _, wish: wish.has("crouch", "crawl"),
        _crouching,
        frozenset({"crouch", "crawl", "still", "walk", "speed"}) | _ALWAYS,
    ),
    (lambda _, wish: wish.has("hop"), _hopping, frozenset({"hop", "still", "speed"}) | _ALWAYS),
    (lambda _, wish: _travels(wish), _travelling, frozenset({"run", "walk", "goto", "speed"}) | _ALWAYS),
    (lambda *_: True, _standing, frozenset({"still", "goto"}) | _ALWAYS),
)
"""Which behaviours there are: when each is wanted, who drafts it, and the concepts it covers. The first that fits."""
