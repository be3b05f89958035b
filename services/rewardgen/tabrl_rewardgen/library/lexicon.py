"""What the library can be asked for, and the patterns of words that ask for it.

Plain words and fixed phrases stand in `thesaurus.toml`; here are those in which something varies.
"""

from __future__ import annotations

import re

__all__ = ["CONCEPTS", "FILLERS", "SIMILE", "TITLES"]

_PHRASES: dict[str, str] = {
    "sway": r"swing(s|ing)? (it |the \w+ )?(gently )?(from )?side[- ]to[- ]side|side[- ]to[- ]side"
    r"|back[- ]and[- ]forth|from (one )?side to (the )?(other|side)|left and right|oscillat\w+|wobbl\w+|wiggl\w+",
    "swing_up": r"(get|bring|raise|lift|take|send|put)\w* (it|the \w+) (up )?to the top"
    r"|swing(s|ing)?( \w+){0,3} up(wards?)?|swing[- ]?up|flip(s|ping)? (it|the \w+) up|get(s|ting)? it up",
    "flip": r"somersault\w*|(back|front)[- ]?flips?|flip(s|ping)? over|cartwheel\w*|roll(s|ing)? over",
    "spin": r"spin(s|ning)?( (round|around))*|in circles|turning fast|keeps? turning|fast turning|circl(e|es|ing)",
    "turn_to": r"turn(s|ing)?( \w+){0,3} to(wards)? the target|point(s|ing)?( \w+){0,2} (at|to) the target",
    "hang": r"rest(s|ing)?|point(s|ing)? down(wards?)?|let(ting)? go",
    "crouch": r"(down |very |stay |keep )*low(er)?( down)?",
    "reach": r"(to|at|on|towards|near) the target",
    "catch": r"caught|in(side)? the cup",
    "flick": r"hit(s|ting)?",
    "stand": r"get(s|ting)? up|on (your|its|the|both|two) (leg|legs|feet|foot|all fours)|on all fours|stood",
    "upright": r"(pole|pendulum|torso|body|it|mast|stick) (stays )?up|(hold|keep)(s|ing)? (it|the \w+) up"
    r"|(without|not( to)?|don'?t|never) (let(ting)? (\w+ ){1,3})?(fall|tip|toppl)\w*( over)?"
    r"|stay(s|ing)? up|hold(s|ing)?( it)?( up)? there|steady",
    "goto": r"position\w*|stay(s|ing)? (at|near|in|on|close)|drive\w*|go(es|ing)? to"
    r"|keep(s|ing)? (near|in|at|close)"
    r"|near|cent(re|er|red|ered)|middle|corner|metres?|meters?|cm|centimet\w+|origin|home|edge|\bend\b",
    "still": r"no (movement|motion)"
    r"|(do not|don'?t|without|not) mov\w+|on the spot|in place|stay(s|ing)? there|stop(s|ped|ping)?|calm(ly)?",
    "backward": r"back(?! (and|flip))",
    "left": r"left(wards?)?",
    "right": r"(?<!all )right(wards?)?",
    "up": r"top|highest|high|tall|as high as possible|tip",
    "fast": r"as fast as (you can|possible)|speed|full speed|top speed|hard",
    "easy": r"pace",
    "gentle": r"light(ly)?|effortless(ly)?|energy|lazily|little effort|grace|efficient(ly)?|quiet(ly)?|slightly"
    r"|a (little|bit)",
    "straight": r"straight( up)?|stretched|erect|proud(ly)?",
}

CONCEPTS: dict[str, re.Pattern[str]] = {name: re.compile(rf"\b(?:{text})\b") for name, text in _PHRASES.items()}
"""Patterns of concepts, over lower-case text."""

TITLES: dict[str, str] = {
    "upright": "balance upright",
    "sway": "sway from side to side",
    "goto": "go to a place and stay there",
    "swing_up": "swing up",
    "hang": "hang at rest",
    "spin": "spin round",
    "turn": "turn on the spot",
    "turn_to": "turn to the target",
    "stand": "stand",
    "walk": "walk",
    "run": "run",
    "sideways": "walk sideways",
    "crouch": "crouch",
    "hop": "hop",
    "dance": "dance",
    "wave": "wave a hand",
    "lean": "lean",
    "sit": "sit",
    "handstand": "stand on the front legs",
    "rear_up": "stand on the hind legs",
    "still": "stay still",
    "flip": "turn somersaults",
    "swim": "swim",
    "reach": "reach the target",
    "catch": "catch the ball",
    "flick": "flick the spinner",
    "crawl": "move close to the ground",
}
"""What each behaviour is called when the library explains itself."""

SIMILE = re.compile(r"\b(?:like|as if|as though)\s+(?:an?\s+|the\s+|you(?:'re|\s+are|\s+were)?\s+)?[a-z' -]+")
"""A comparison, which the library takes for a matter of style."""

FILLERS = frozenset(
    """a able about across all along also always an and any are area arm arms around as at away ball be being best
    body both but by can cart cheetah cup
    do does dog down during each ease ever every fast feet few finger fingertip first fish floor foot for four friendly
    from get give go goes going good ground
    hand hands head hips hold holding hopper human humanoid i if in into is it its itself just keep keeping keeps least
    leg legs let like little
    long make makes making man maintain me mass more much must my never nice nicely no not now of off on once one
    only onto or other others our out over own pendulum people per person place please point pointmass pole possible
    put reacher remain remaining robot room round same second seconds should show so some spinner spot stay
    staying stays steadily such swimmer tail take target than that the their them then there these they this those
    through time tip to together torso towards
    track try trying two under until up upon us use using very walker want was way we well when where which while who
    will with within without would you your yours half metre meter metres meters cm m s""".split()  # noqa: SIM905
)
"""Words that ask for nothing by themselves."""
