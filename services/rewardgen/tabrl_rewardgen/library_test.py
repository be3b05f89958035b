"""The library: what it makes of prompts, and that what it writes is a reward."""

import asyncio
import dataclasses
import json

import pytest
from tabrl_simulation.environments import DM_CONTROL
from tabrl_simulation.motion import Check, require_fits
from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.container import ProgramHeader, pack
from tabrl_simulation.rewards.robot import Robot, Stance

from tabrl_rewardgen.library import BehaviourUnknown, write
from tabrl_rewardgen.library.families import FAMILIES, ON_LEGS, family_of
from tabrl_rewardgen.library.lexicon import TITLES
from tabrl_rewardgen.library.reading import read

# environment, prompt, terms that must be there, a piece of the explanation
UNDERSTOOD = [
    ("CartpoleBalance", "Keep the pole upright and stay near the middle of the track", {"upright", "place"}, "middle"),
    (
        "CartpoleBalance",
        "Balance the pole while swaying the cart gently from side to side",
        {"sway"},
        "sways",
    ),
    ("CartpoleBalance", "keep the pole upright while swaying gently", {"upright", "sway"}, "sways 0.5 m"),
    (
        "CartpoleBalance",
        "Hold the pole up and park the cart one metre to the left",
        {"upright", "place"},
        "1 m to the left",
    ),
    ("CartpoleBalance", "park half a metre to the right", {"place"}, "0.5 m to the right"),
    ("CartpoleBalance", "go 80 cm left and balance", {"place"}, "0.8 m to the left"),
    ("CartpoleSwingup", "Swing the pole up", {"upright"}, "Swing the pole up"),
    ("CartpoleBalance", "let the pole hang down", {"down", "pole_still"}, "hang"),
    ("CartpoleBalance", "spin the pole", {"turning"}, "Spin"),
    ("PendulumSwingup", "Swing the pendulum up and hold it there", {"height", "hold"}, "upright"),
    ("PendulumSwingup", "Make the pendulum spin round and round like a propeller", {"spin"}, "round and round"),
    ("PendulumSwingup", "Let the pendulum hang still at the bottom", {"down", "still"}, "hang still"),
    ("CheetahRun", "Run forward as fast as you can", {"speed"}, "forward at 10 m/s"),
    ("CheetahRun", "Run backwards", {"speed"}, "backward"),
    ("CheetahRun", "Stand still on all fours without falling over", {"still", "upright"}, "on the spot"),
    ("CheetahRun", "Do somersaults", {"turning"}, "somersaults"),
    ("WalkerStand", "Stand up tall and do not move", {"height", "still"}, "on the spot"),
    ("WalkerWalk", "Walk forward at a relaxed human pace", {"speed", "height"}, "forward at 1.2 m/s"),
    ("WalkerWalk", "Walk backwards", {"speed"}, "backward"),
    ("WalkerWalk", "walk at 1.5 m/s", {"speed"}, "1.5 m/s"),
    ("WalkerWalk", "move forward at half a metre per second", {"speed"}, "0.5 m/s"),
    ("WalkerStand", "Crouch down low but do not fall over", {"low", "upright"}, "crouch"),
    ("HopperHop", "Hop forward like a kangaroo", {"bounce", "speed"}, "hop forward"),
    ("HopperHop", "hop in place", {"bounce", "place"}, "on the spot"),
    ("HopperStand", "Balance on your leg, standing tall", {"height", "still"}, "on the spot"),
    ("ReacherEasy", "Touch the target with your fingertip and stay there", {"approach", "touch"}, "fingertip"),
    ("PointMass", "Go to the centre and stay there", {"approach", "arrive"}, "the centre"),
    ("PointMass", "go to the top left corner", {"arrive"}, "0.27 m to the left and 0.27 m up"),
    ("SwimmerSwimmer6", "Swim forward as fast as possible", {"speed"}, "Swim forward"),
    ("FingerSpin", "Flick the spinner so that it keeps turning fast", {"spin"}, "Flick"),
    ("FingerTurnHard", "turn the spinner to the target", {"approach", "hold"}, "target"),
    ("FishSwim", "Swim upright to the target", {"upright", "approach"}, "target"),
    ("BallInCup", "Catch the ball in the cup and keep it in", {"approach", "caught"}, "Catch"),
    ("AcrobotSwingup", "Swing up and balance with the tip as high as possible", {"height", "hold"}, "high"),
    ("HumanoidStand", "Stand up straight", {"height", "upright"}, "stand"),
    ("HumanoidRun", "run!", {"speed"}, "forward"),
]


@pytest.mark.parametrize(("environment_id", "prompt", "terms", "piece"), UNDERSTOOD)
def test_a_known_behaviour_becomes_a_checked_reward(environment_id, prompt, terms, piece, robot):
    found = write(prompt, robot(environment_id))
    check(found.source, robot(environment_id))
    assert terms <= set(found.weights)
    assert piece in found.explanation
    assert found.left_out == ()
    assert set(found.term_explanations) == set(found.weights)
    assert all(found.term_explanations.values())


@pytest.mark.parametrize(
    ("environment_id", "prompt", "left_out"),
    [
        ("CartpoleBalance", "balance the pole while juggling bananas", "juggling bananas"),
        ("CartpoleSwingup", "swing up the pole, then sing", "one thing after another"),
        ("HumanoidRun", "run like a ninja", "like a ninja"),
        ("WalkerWalk", "walk to the beat", "beat"),
        ("CartpoleBalance", "balance the pole and hop", "hop"),
        ("WalkerWalk", "walk and do not crouch", "do not crouch"),
        ("WalkerWalk", "walk rather than run", "rather than run"),
        ("HopperHop", "hop over the wall", "wall"),
        ("FishSwim", "swim upside down", "upside down"),
        ("FingerSpin", "spin the wheel at 10 rad/s", "10 rad/s"),
        ("PendulumSwingup", "spin at 300 rpm", "300 rpm"),
        ("WalkerWalk", "walk 5 steps", "5 steps"),
        ("WalkerWalk", "walk 3 m", "3 m"),
        ("CheetahRun", "run at 3 m/s and at 5 m/s", "5 m/s"),
        ("CheetahRun", "run at 1e309 m/s", "1e309 m/s"),
        ("CheetahRun", "run forward and backward", "backward"),
        ("HopperHop", "hop three times", "three times"),
        ("PointMass", "go 2 m", "neither left nor right"),
        ("CartpoleBalance", "sway 3 m to either side", "sways by 1.2 m"),
        ("CartpoleBalance", "park the cart 5 m away", "neither left nor right"),
        ("WalkerWalk", "walk über alles", "über alles"),
        ("HopperHop", "hop as high as possible", "how high"),
        ("PointMass", "go 2 m to the left", "the walls are nearer"),
        ("CartpoleBalance", "park the cart 5 m to the right", "the track ends before"),
    ],
)
def test_what_is_not_understood_is_said(environment_id, prompt, left_out, robot):
    assert left_out in " ".join(write(prompt, robot(environment_id)).left_out)


@pytest.mark.parametrize(
    ("environment_id", "prompt"),
    [
        ("CartpoleBalance", "juggle three bananas"),
        ("CartpoleBalance", "schlaf gut"),
        ("CheetahRun", "recite a poem"),
        ("PendulumSwingup", "walk to the shop"),
        ("ReacherEasy", "crouch"),
        ("CartpoleBalance", "gently"),
        ("WalkerWalk", "do not walk"),
        ("WalkerWalk", "don't run"),
        ("CartpoleBalance", "!!!"),
    ],
)
def test_an_unknown_behaviour_is_refused_with_the_nearest_known(environment_id, prompt, robot):
    with pytest.raises(BehaviourUnknown) as unknown:
        write(prompt, robot(environment_id))
    assert unknown.value.nearest in unknown.value.known


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("juggle three bananas", "It does not know: bananas."),
        ("schlaf gut", "It does not know: schlaf, gut. It reads English alone."),
        ("танцуй медленно", "It does not know: танцуй, медленно. It reads English alone."),
        ("跳舞", "It does not know: 跳舞. It reads English alone."),
        ("yodel", "It does not know: yodel."),
        ("be a horse", "It does not know: horse."),
    ],
)
def test_a_refusal_says_which_words_mean_nothing(prompt, said, robot):
    with pytest.raises(BehaviourUnknown) as unknown:
        write(prompt, robot("WalkerWalk"))
    assert str(unknown.value).endswith(said)


@pytest.mark.parametrize(
    ("environment_id", "prompt"),
    [
        ("ReacherEasy", "stay away from the target"),
        ("ReacherEasy", "keep the fingertip far from the target"),
        ("PointMass", "stay out of the middle"),
    ],
)
def test_the_opposite_of_a_wish_is_never_rewarded(environment_id, prompt, robot):
    with pytest.raises(BehaviourUnknown):
        write(prompt, robot(environment_id))


def test_what_turns_is_stopped(robot):
    assert "Keep the spinner still" in write("stop the spinner", robot("FingerSpin")).explanation


@pytest.mark.parametrize(
    ("prompt", "piece"),
    [
        ("run at 1,000 m/s", "at 1000 m/s, upright"),
        ("run at 1 000 m/s", "at 1000 m/s, upright"),
        ("run at 3,5 m/s", "at 3.5 m/s, upright"),
        ("run at 1/2 m/s", "at 0.5 m/s, upright"),
        ("run at 3 feet per second", "at 0.91 m/s, upright"),
        ("run no faster than 2 m/s", "at 2 m/s, upright"),
        ("run at least 4 m/s", "at 4 m/s or more, upright"),
        ("run as slowly as possible", "at 2 m/s, upright"),
        ("run", "at 10 m/s or more, upright"),
    ],
)
def test_speeds_are_read_as_people_write_them(prompt, piece, robot):
    found = write(prompt, robot("CheetahRun"))
    assert piece in found.explanation
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("environment_id", "prompt"),
    [
        ("CartpoleBalance", "hold the pole up half a metre to the left"),
        ("CartpoleBalance", "sway gently"),
        ("PendulumSwingup", "swing up"),
        ("AcrobotSwingup", "swing up"),
        ("CheetahRun", "run backwards"),
        ("WalkerWalk", "walk slowly"),
        ("WalkerStand", "stand"),
        ("HopperHop", "hop"),
        ("HumanoidWalk", "walk"),
        ("ReacherEasy", "touch the target"),
        ("PointMass", "go to the top left corner"),
        ("FingerSpin", "flick the spinner"),
        ("BallInCup", "catch the ball"),
    ],
)
def test_a_motion_can_be_judged_by_the_librarys_own_check(environment_id, prompt, robot):
    found = write(prompt, robot(environment_id))
    require_fits(Check(found.check), robot(environment_id))


def test_slowly_is_slower_than_at_ease(robot):
    assert "forward at 0.6 m/s" in write("walk slowly", robot("WalkerWalk")).explanation
    assert "forward at 1.2 m/s" in write("walk at a relaxed pace", robot("WalkerWalk")).explanation
    for prompt in ("run slowly", "walk and run slowly"):
        assert "forward at 1.2 m/s" in write(prompt, robot("WalkerWalk")).explanation
    for prompt in ("run at a fast pace", "run at a brisk pace"):
        assert "forward at 8 m/s" in write(prompt, robot("WalkerWalk")).explanation


@pytest.mark.parametrize("prompt", ["walk at 20 m/s", "hop at 20 m/s", "crouch and walk at 20 m/s"])
def test_a_speed_beyond_the_robot_is_remarked_on(prompt, robot):
    found = write(prompt, robot("WalkerWalk"))
    assert found.remarks == ("20 m/s may be beyond the walker, which runs at 8 m/s",)
    assert found.left_out == ()


@pytest.mark.parametrize("prompt", ["hop on tip toes", "hop over the top"])
def test_only_words_of_height_are_about_height(prompt, robot):
    assert "how high" not in " ".join(write(prompt, robot("HopperHop")).left_out)


def test_what_is_not_wanted_is_not_rewarded(robot):
    assert "forward at 1.2 m/s" in write("walk and do not crouch", robot("WalkerWalk")).explanation
    # standing still is a behaviour, and nobody wants to fall
    assert "on the spot" in write("do not move", robot("WalkerWalk")).explanation
    assert write("walk without falling over", robot("WalkerWalk")).left_out == ()


def test_the_nearest_is_near(robot):
    with pytest.raises(BehaviourUnknown) as unknown:
        write("spinny", robot("PendulumSwingup"))
    assert unknown.value.nearest == "spin round"


def test_every_environment_has_a_family(robot):
    for environment_id in DM_CONTROL:
        assert family_of(robot(environment_id)) is not None, environment_id


@pytest.mark.parametrize(
    "environment_id", ["Go1JoystickFlatTerrain", "H1JoystickGaitTracking", "T1JoystickFlatTerrain"]
)
def test_every_behaviour_of_a_robot_on_legs_is_a_reward(environment_id, robot):
    from tabrl_rewardgen.library.lexicon import TITLES

    which = robot(environment_id)
    family = family_of(which)
    assert family in ON_LEGS
    for behaviour in family.behaviours:
        check(write(TITLES[behaviour], which).source, which)
    assert "0.5 m/s" in write("walk forward at half a metre per second", which).explanation


def test_a_robot_that_nobody_has_seen_is_rewarded_for_what_its_stance_allows(robot):
    from tabrl_rewardgen.library.lexicon import TITLES

    # given a robot with names of its own
    own = robot("HumanoidWalk")
    bodies = tuple(dataclasses.replace(body, name=f"part {index}") for index, body in enumerate(own.bodies))
    joints = tuple(dataclasses.replace(joint, name=f"j{index}") for index, joint in enumerate(own.joints))
    unknown = dataclasses.replace(own, name="custom", bodies=bodies, joints=joints)
    with pytest.raises(BehaviourUnknown, match="stand upright on the ground at home"):
        write("walk forward", unknown)

    standing = dataclasses.replace(unknown, stance=Stance("part 1", 0.3))
    for behaviour in family_of(standing).behaviours:
        check(write(TITLES[behaviour], standing).source, standing)
    # ahead is where it faces, wherever that is
    assert 'state.heading_velocity("part 1")' in write("walk forward", standing).source
    # an arm's names in what stands do not make it an arm
    armed = dataclasses.replace(
        standing,
        joints=tuple(
            dataclasses.replace(j, name=n)
            for j, n in zip(joints, ("upper_arm", "lower_arm", "shoulder", "elbow"), strict=False)
        ),
    )
    assert family_of(armed).title == "robot"
    # legs of half a metre walk at 0.7 m/s, those of 30 cm at 0.5 m/s
    assert "0.5 m/s" in write("walk forward", standing).explanation
    assert Robot.from_plain(json.loads(json.dumps(standing.plain()))) == standing
    # and a name that would end the quotes it is written between is no name to write
    quoted = dataclasses.replace(unknown, stance=Stance('part") + boom("', 0.3))
    with pytest.raises(BehaviourUnknown):
        write("walk forward", quoted)


def test_every_behaviour_of_every_family_is_a_reward(robot):
    # given each family's own list, when each behaviour is asked for in its title's words, then a checked reward comes
    from tabrl_rewardgen.library.lexicon import TITLES

    seen = set()
    for environment_id in DM_CONTROL:
        family = family_of(robot(environment_id))
        if family.title in seen:
            continue
        seen.add(family.title)
        for behaviour in family.behaviours:
            found = write(TITLES[behaviour], robot(environment_id))
            check(found.source, robot(environment_id))
    assert seen == {family.title for family in FAMILIES}


def test_terms_are_sensible_and_finite_in_the_states_robots_are_in(robot):
    # given every understood prompt, when its reward is traced, then no remark is made on any term
    from tabrl_simulation.rewards.inputs import shapes
    from tabrl_simulation.rewards.tracing import trace
    from tabrl_simulation.rewards.verification import verify

    for environment_id, prompt, *_ in UNDERSTOOD[::4]:
        which = robot(environment_id)
        traced = trace(write(prompt, which).source, which)
        readable = shapes(which)
        inputs = {name: readable[name] for name in traced.inputs}
        identity = (which.environment_id, which.environment_fingerprint)
        header = ProgramHeader(*identity, inputs, which.action_size, traced.uses_action, traced.terms)
        assert verify(pack(header, traced.exported), traced.onnx, which, {}).remarks == []


def test_manners_change_the_price_of_control(robot):
    def price(prompt):
        return write(prompt, robot("CartpoleBalance")).weights["effort"]

    assert price("balance the pole gently") < price("balance the pole slowly") < price("balance the pole") < 0


def test_numbers_are_read_in_words_and_digits():
    assert read("go one and a half metres to the left").distance_m == 1.5
    assert read("go 30 cm to the left").distance_m == pytest.approx(0.3)
    assert read("walk at two metres per second").speed_mps == 2.0
    assert read("walk at 0.8 m/s").speed_mps == 0.8
    assert read("walk at 0.8 m/s").distance_m is None


def test_a_prompt_cannot_write_code(robot):
    # given a prompt full of code, when the library uses it, then none of it is in the source
    prompt = 'balance the pole """); import os; os.system("x") #'
    source = write(prompt, robot("CartpoleBalance")).source
    check(source, robot("CartpoleBalance"))
    assert "os." not in source


def test_a_long_prompt_takes_no_time(robot):
    async def bounded():
        async with asyncio.timeout(20):
            return await asyncio.to_thread(write, "balance the pole " + "gently and " * 350, robot("CartpoleBalance"))

    assert asyncio.run(bounded()).weights


@pytest.mark.parametrize(
    ("prompt", "speed"),
    [
        ("walk at 3 km/h", "forward at 0.83"),
        ("walk at 4 mph", "forward at 1.79"),
        ("walk 30 metres per minute", "forward at 0.5 m/s"),
        ("walk at -1 m/s", "backward at 1 m/s"),
        ("walk at 0 m/s", "stand upright"),
    ],
)
def test_speeds_are_read_in_the_units_they_are_said_in(prompt, speed, robot):
    assert speed in write(prompt, robot("WalkerWalk")).explanation


def test_what_is_not_wanted_is_not_the_nearest(robot):
    with pytest.raises(BehaviourUnknown) as refused:
        write("don't walk", robot("WalkerWalk"))
    assert refused.value.nearest != TITLES["walk"]


def test_one_leg_is_said_to_be_left_out(robot):
    assert "on one leg" in " ".join(write("stand on one leg", robot("WalkerWalk")).left_out)
