"""Checks what a batch is asked to try, and fills in what was left out; every refusal names the field of the batch."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_chassis.service import Context
from tabrl_simulation.motion import Check, CheckError
from tabrl_simulation.motion.fitting import require_fits_names

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.estimates import env_steps_per_sec
from tabrl_trainer.search_parameters import SETTINGS, WEIGHT_PREFIX, InvalidParameter, is_number, with_parameters
from tabrl_trainer.submission import Submission, check_spec, check_varied

__all__ = ["CheckedBatch", "check_batch"]

_DEFAULT_EPISODES: Final = 5
_DEFAULT_KEEP_SHARE: Final = 0.5
_MOST_DEFAULT_RUNGS: Final = 6
# A candidate that goes on loads and compiles anew, which takes 5 to 10 s: shorter stages cost more than they save.
_LEAST_STAGE_SECS: Final = 60.0
_LARGEST_WEIGHT: Final = 1e6
_SCENE_TIMEOUT_SECS: Final = 5.0
_EXAMPLE: Final = "such as mean(up('torso')) > 0.9"


@dataclass(frozen=True)
class CheckedBatch:
    """A batch that can be run: its spec with every default filled in, and the runs that it begins with."""

    spec: batches_pb2.BatchSpec
    submissions: tuple[Submission, ...]


async def check_batch(context: Context[TrainerConfig], spec: batches_pb2.BatchSpec) -> CheckedBatch:
    """Return what a spec asks for.

    Raises `TabrlError`: what `check_spec` raises of a candidate, and INVALID_FIELD.
    """
    filled = batches_pb2.BatchSpec()
    filled.CopyFrom(spec)
    if spec.HasField("search") and spec.candidates:
        raise invalid_field("spec.search", "candidates are given as well; give either them or a search")
    submissions: tuple[Submission, ...] = ()
    if spec.HasField("search"):
        base = await _checked(context, spec.search.base, "spec.search.base")
        filled.search.base.CopyFrom(base.spec)
        filled.search.at_once = min(spec.search.at_once or 1, spec.search.trials)
        await _check_parameters(context, filled.search)
        specs, expected = [base.spec], spec.search.trials
    elif spec.candidates:
        submissions = await _check_candidates(context, filled)
        specs, expected = [each.spec for each in submissions], len(submissions)
    else:
        raise invalid_field("spec.candidates", "there is nothing to try; give candidates, or a search")
    fastest = await context.database.read(lambda session: max(env_steps_per_sec(session, specs)))
    _fill_halving(filled, min(each.settings.env_steps for each in specs), expected, _LEAST_STAGE_SECS * fastest)
    await _check_judgement(context, filled, specs)
    return CheckedBatch(filled, submissions)


async def _check_candidates(context: Context[TrainerConfig], spec: batches_pb2.BatchSpec) -> tuple[Submission, ...]:
    submissions = []
    for index, candidate in enumerate(spec.candidates):
        place = f"spec.candidates[{index}].spec"
        submissions.append(await _checked(context, candidate.spec, place))
        candidate.spec.CopyFrom(submissions[-1].spec)
        candidate.label = candidate.label.strip() or f"candidate {index + 1}"
        first = spec.candidates[0].spec.environment_id
        if candidate.spec.environment_id != first:
            what = f"is {candidate.spec.environment_id}, and that of the first candidate {first}"
            raise invalid_field(f"{place}.environment_id", f"{what}; one judgement fits candidates of one environment")
    return tuple(submissions)


async def _checked(context: Context[TrainerConfig], spec: trainer_pb2.RunSpec, place: str) -> Submission:
    """Check one spec; what is refused of it is named by its place in the batch."""
    try:
        return await check_spec(context, spec)
    except TabrlError as error:
        named = [(_renamed(field, place), description) for field, description in error.fields]
        message = f"{named[0][0]}: {named[0][1]}" if error.reason == "INVALID_FIELD" and named else error.message
        raise dataclasses.replace(error, message=message, fields=named) from error


def _renamed(field: str, place: str) -> str:
    return place + field.removeprefix("spec") if field.startswith("spec") else field


async def _check_parameters(context: Context[TrainerConfig], search: batches_pb2.SearchSpec) -> None:
    """Make sure that each parameter is there once and that every value of it, by itself, can be trained with."""
    seen: set[str] = set()
    for index, parameter in enumerate(search.parameters):
        place = f"spec.search.parameters[{index}]"
        _check_name(search, parameter.name, place)
        if parameter.name in seen:
            raise invalid_field(f"{place}.name", f"{parameter.name} is searched already")
        seen.add(parameter.name)
        if parameter.HasField("range"):
            values = _ends(parameter, place)
        else:
            values = [(f"{place}.choices.values[{n}]", text) for n, text in enumerate(parameter.choices.values)]
        for field, text in values:
            name_or_value = f"{place}.name" if parameter.name.startswith(WEIGHT_PREFIX) else field
            try:
                await _check_value(context, search.base, parameter.name, text)
            except InvalidParameter as error:
                raise invalid_field(field, str(error)) from error
            except TabrlError as error:
                if error.reason != "INVALID_FIELD":
                    raise
                # A weight that has been read is refused only for want of such a term.
                description = "; ".join(description for _, description in error.fields)
                raise invalid_field(name_or_value, description) from error


def _check_name(search: batches_pb2.SearchSpec, name: str, place: str) -> None:
    if name.startswith(WEIGHT_PREFIX):
        if not search.base.HasField("reward"):
            description = "the base has no reward whose weights could be searched; name one in spec.search.base.reward"
            raise invalid_field(f"{place}.name", description)
    elif name == "env_steps":
        description = "is what all trials have in common; set it in spec.search.base.settings"
        raise invalid_field(f"{place}.name", f"env_steps {description}")
    elif name not in SETTINGS:
        known = ", ".join((*SETTINGS, f"{WEIGHT_PREFIX}TERM"))
        raise invalid_field(f"{place}.name", f"{name!r} cannot be searched; these can: {known}")


def _ends(parameter: batches_pb2.SearchParameter, place: str) -> list[tuple[str, str]]:
    """Return both ends of a range as text, each with its field."""
    low, high = parameter.range.low, parameter.range.high
    if not is_number(parameter.name):
        raise invalid_field(f"{place}.range", f"{parameter.name} is no number; give choices")
    if not low < high:
        raise invalid_field(f"{place}.range.high", f"{high:g} is not above the low end, {low:g}")
    if parameter.range.log and low <= 0:
        raise invalid_field(f"{place}.range.low", f"{low:g} has no logarithm; let it be above 0, or leave `log` out")
    return [(f"{place}.range.low", _text(low)), (f"{place}.range.high", _text(high))]


def _text(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


async def _check_value(context: Context[TrainerConfig], base: trainer_pb2.RunSpec, name: str, text: str) -> None:
    """Make sure that one value of one parameter can be trained with; raises as `with_parameters` and `check_varied`."""
    spec = with_parameters(base, {name: text})
    if name.startswith(WEIGHT_PREFIX) and not abs(float(text)) <= _LARGEST_WEIGHT:
        raise InvalidParameter(f"{text} is not between -{_LARGEST_WEIGHT:,.0f} and {_LARGEST_WEIGHT:,.0f}")
    await check_varied(context, spec)


def _fill_halving(spec: batches_pb2.BatchSpec, env_steps: int, candidates: int, least_stage: float) -> None:
    """Fill in the rungs, or make sure that those given can be.

    Args:
        spec: of the batch.
        env_steps: of the candidate that trains least.
        candidates: how many there are, or will be.
        least_stage: steps that there are at least from one rung to the next by default.
    """
    if not spec.HasField("halving"):
        return
    halving = spec.halving
    halving.keep_share = halving.keep_share or _DEFAULT_KEEP_SHARE
    given = list(halving.rung_env_steps)
    for index, (before, after) in enumerate(itertools.pairwise(given), 1):
        if after <= before:
            raise invalid_field(f"spec.halving.rung_env_steps[{index}]", f"{after:,} is not above {before:,} before it")
    for index, steps in enumerate(given):
        if steps >= env_steps:
            description = f"{steps:,} is not below the {env_steps:,} steps of the candidate that trains least"
            raise invalid_field(f"spec.halving.rung_env_steps[{index}]", description)
    if given or candidates < 2:
        return
    needed = math.ceil(math.log(candidates) / -math.log(halving.keep_share) - 1e-9)
    count = max(1, min(needed, _MOST_DEFAULT_RUNGS))
    rungs = [round(env_steps * halving.keep_share**power) for power in range(count, 0, -1)]
    before = 0
    for steps in rungs:
        if steps - before >= least_stage and env_steps - steps >= least_stage:
            halving.rung_env_steps.append(steps)
            before = steps


async def _check_judgement(
    context: Context[TrainerConfig], spec: batches_pb2.BatchSpec, specs: Sequence[trainer_pb2.RunSpec]
) -> None:
    judgement = spec.judgement
    judgement.check = judgement.check.strip()
    judgement.episodes = judgement.episodes or _DEFAULT_EPISODES
    if spec.HasField("halving") and judgement.episodes < 2:
        description = "a single episode says nothing of luck, so that nobody could be stopped; play 2 at least"
        raise invalid_field("spec.judgement.episodes", description)
    if judgement.check:
        await _check_check(context, judgement.check, specs[0].environment_id)
        return
    for index, each in enumerate(specs):
        if _yardstick(each) != _yardstick(specs[0]):
            what = f"candidates 1 and {index + 1} train for different rewards or weights, whose returns do not compare"
            raise invalid_field("spec.judgement.check", f"{what}; give a check on the motion, {_EXAMPLE}")
    weights = [each.name for each in spec.search.parameters if each.name.startswith(WEIGHT_PREFIX)]
    if weights:
        what = f"trials differ in {weights[0]}, so that their returns do not compare"
        raise invalid_field("spec.judgement.check", f"{what}; give a check on the motion, {_EXAMPLE}")


def _yardstick(spec: trainer_pb2.RunSpec) -> tuple[str, tuple[tuple[str, float], ...]]:
    """Return what decides the returns of an evaluation: the reward and its weights, of which those left out are 1."""
    weights = sorted((name, weight) for name, weight in spec.reward.weights.items() if weight != 1.0)
    return spec.reward.program_sha256, tuple(weights)


async def _check_check(context: Context[TrainerConfig], text: str, environment_id: str) -> None:
    """Make sure that a check can be computed for the robot, before anything is trained for it."""
    scene = scene_pb2_grpc.SceneServiceStub(context.channel("scene"))
    request = scene_pb2.GetEnvironmentRequest(environment_id=environment_id)
    response = await call(scene.GetEnvironment, request, service="scene", timeout_secs=_SCENE_TIMEOUT_SECS)
    environment = response.environment
    scalar = (scene_pb2.JOINT_TYPE_HINGE, scene_pb2.JOINT_TYPE_SLIDE)
    try:
        require_fits_names(
            Check(text),
            bodies=[body.name for body in environment.structure.bodies],
            joints=[joint.name for joint in environment.structure.joints if joint.type in scalar],
            control_period_secs=environment.timing.control_period_secs,
        )
    except CheckError as error:
        raise invalid_field("spec.judgement.check", str(error)) from error
