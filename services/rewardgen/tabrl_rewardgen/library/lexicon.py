"""The words the library knows: which concept each phrase stands for. Longer phrases are found before shorter ones."""

from __future__ import annotations

import re

__all__ = ["CONCEPTS", "FILLERS", "SIMILE", "TITLES"]

_PHRASES: dict[str, str] = {
    "sway": r"sway(s|ing|ed)?|swing(ing)? (it |the \w+ )?(gently )?(from )?side[- ]to[- ]side"
    r"|rock(s|ing)?|side[- ]to[- ]side"
    r"|back[- ]and[- ]forth|from (one )?side to (the )?(other|side)|left and right|to and fro"
    r"|oscillat\w+|wobbl\w+|wiggl\w+",
    "dance": r"danc(e|es|ing)|boogie\w*|groov\w+|jig(s|ging)?|salsa|bop(s|ping)?|to the (beat|music|rhythm)|party",
    "wave": r"wav(e|es|ing)( \w+){0,3}( hello| goodbye| hi)?|greet\w*|say(s|ing)? (hello|hi|goodbye)|hello"
    r"|salut\w+",
    "sideways": r"sideways|sidestep\w*|strafe\w*|strafing|like a crab|crab[- ]?walk\w*|crab|scuttl\w+"
    r"|lateral(ly)?",
    "handstand": r"hand[- ]?stand\w*|(on|onto) (your|its|the) (front|fore)[- ]?(legs|feet|paws)",
    "rear_up": r"rear(s|ing)? up|(on|onto) (your|its|the) (hind|back|rear)[- ]?(legs|feet|paws)|beg(s|ging)?"
    r"|foot[- ]?stand",
    "turn": r"turn(s|ing)?( on the spot| in place)?( to the)? (left|right)|turn(s|ing)? on the spot"
    r"|turn(s|ing)? in place|pirouett\w+|do a 360",
    "swing_up": r"swing(s|ing)?( \w+){0,3} up(wards?)?|swing[- ]?up|flip(s|ping)? (it|the \w+) up|get(s|ting)? it up",
    "flip": r"somersault\w*|(back|front)[- ]?flips?|flip(s|ping)?( over)?|cartwheel\w*|roll(s|ing)? over",
    "spin": r"spin(s|ning)?( (round|around))*|whirl\w*|twirl\w*|rotat\w+|propeller|windmill"
    r"|round and round|in circles|turning fast"
    r"|turn(s|ing)? (round|around)|keeps? turning|fast turning|circl(e|es|ing)",
    "turn_to": r"turn(s|ing)?( \w+){0,3} to(wards)? the target|point(s|ing)?( \w+){0,2} (at|to) the target",
    "hang": r"hang(s|ing)?|rest(s|ing)?|dangl\w+|at the bottom|point(s|ing)? down(wards?)?"
    r"|let(ting)? go|limp|straight down",
    "crouch": r"crouch\w*|squat\w*|duck(s|ing)?|(down |very |stay |keep )*low(er)?( down)?|kneel\w*|bend the knees",
    "hop": r"hop(s|ping)?|jump(s|ing)?|bounc(e|es|ing)|leap(s|ing)?|kangaroo",
    "run": r"run(s|ning)?|sprint\w*|gallop\w*|rac(e|es|ing)|dash\w*",
    "walk": r"walk(s|ing)?|stroll\w*"
    r"|patrol\w*|saunter\w*|ambl(e|es|ing)|wander\w*|pac(es|ing)|stride\w*|step(s|ping)?|march\w*|trot(s|ting)?|move|moves|moving|advance",
    "crawl": r"crawl\w*|creep\w*|sneak\w*",
    "swim": r"swim(s|ming)?|swam|slither\w*|wriggl\w+",
    "reach": r"reach(es|ing)?|touch(es|ing)?|(to|at|on|towards|near) the target|the target|target",
    "catch": r"catch(es|ing)?|caught|in(side)? the cup|into the cup",
    "flick": r"flick(s|ing)?|spinner|knock\w*|hit(s|ting)?",
    "stand": r"stand(s|ing)?( up)?|get(s|ting)? up|on (your|its|the) (leg|legs|feet|foot|all fours)|on all fours|stood",
    "upright": r"balanc\w+|upright|vertical\w*|(pole|pendulum|torso|body|it|mast|stick) (stays )?up"
    r"|hold(s|ing)? (it|the \w+) up"
    r"|keep(s|ing)? (it|the \w+) up|without (falling|tipping)( over)?|not (to )?(fall|tip)( over)?"
    r"|do not (fall|tip)( over)?"
    r"|don'?t (fall|tip)( over)?|stay(s|ing)? up|on end|hold(s|ing)?( it)?( up)? there|steady",
    "goto": r"park(s|ed|ing)?|go(es|ing)? to|drive\w*|position\w*|stay(s|ing)? (at|near|in|on|close)"
    r"|keep(s|ing)? (near|in|at|close)"
    r"|hold position|near|cent(re|er|red|ered)|middle|corner|metres?|meters?|cm|centimet\w+|origin|home|edge|\bend\b",
    "still": r"still|motionless|do not move|don'?t move|without moving|not mov\w+|freez\w+"
    r"|stationary|on the spot|in place"
    r"|stay(s|ing)? (there|put)|stop(s|ped|ping)?|calm(ly)?",
    "forward": r"forwards?|ahead|onwards?",
    "backward": r"backwards?|back(?! (and|flip))|in reverse|revers(e|ing)|rearwards?",
    "left": r"left(wards?)?|counter[- ]?clockwise|anti[- ]?clockwise",
    "right": r"(?<!all )right(wards?)?|(?<!counter[- ])(?<!anti[- ])clockwise",
    "up": r"upwards?|top|highest|high|tall|as high as possible|tip",
    "fast": r"fast(er|est)?|quick(ly|er)?|rapid(ly)?|as fast as (you can|possible)|speed|full speed"
    r"|top speed|hard|flat out",
    "slow": r"slow(ly|er)?|relaxed|leisure(ly)?|easy|unhurried|human pace|pace",
    "gentle": r"gentl[ey]|soft(ly)?|smooth(ly)?|care(ful|fully)|light(ly)?|effortless(ly)?|energy"
    r"|lazily|little effort|grace\w*"
    r"|efficient(ly)?|quiet(ly)?|slightly|a (little|bit)",
    "straight": r"straight( up)?|stretched|erect|proud(ly)?",
}

CONCEPTS: dict[str, re.Pattern[str]] = {name: re.compile(rf"\b(?:{text})\b") for name, text in _PHRASES.items()}
"""Pattern of each concept, over lower-case text."""

TITLES: dict[str, str] = {
    "upright": "balance upright",
    "sway": "sway from side to side",
    "goto": "go to a place and stay there",
    "swing_up": "swing up",
    "hang": "hang at rest",
    "spin": "spin round",
    "turn_to": "turn to the target",
    "turn": "turn on the spot",
    "dance": "dance",
    "wave": "wave a hand",
    "sideways": "walk sideways",
    "handstand": "stand on the front legs",
    "rear_up": "stand on the hind legs",
    "stand": "stand",
    "walk": "walk",
    "run": "run",
    "crouch": "crouch",
    "hop": "hop",
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
    """a able about all also always an and any are arm arms as at ball be being body both but by can cart cheetah cup
    do down during each ease ever every fast feet finger fingertip first fish for four from get give go goes going good
    hand head hold holding hopper human humanoid i if in into is it its itself just keep keeping keeps leg legs let
    long make makes making man maintain me mass me more much must my never nice nicely no not now of off on once one
    only onto or other others our out over own pendulum per person place please point pointmass pole possible put
    reacher remain remaining robot room round like same second seconds should sideways so some still stay staying stays
    steadily such swimmer hips
    wiggle hello tail target than that the their them then there these they this those through time tip to together
    torso
    track try trying two under until up upon us use using very walker want was way we well when where which while who
    will with within without would you your yours half metre meter metres meters cm m s""".split()  # noqa: SIM905
)
"""Words that ask for nothing by themselves."""
