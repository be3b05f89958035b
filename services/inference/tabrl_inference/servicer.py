"""The RPCs of the Inference service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.play.manifest import GraphInput, Tensor
from tabrl.play.player import ControllerError
from tabrl_chassis.errors import invalid_field

from tabrl_inference.evaluation import Episode, Evaluations, summary
from tabrl_inference.policies import Policies, incompatible
from tabrl_inference.tensors import arrays_of, spec_message, tensor_message

if TYPE_CHECKING:
    from tabrl_simulation.motion import Check

__all__ = ["InferenceServicer"]

_DEFAULT_EPISODES = 5


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """Decides and evaluates; a TabrlError that it raises becomes the call's status."""

    def __init__(self, policies: Policies, evaluations: Evaluations) -> None:
        """Serves the policies."""
        self._policies = policies
        self._evaluations = evaluations

    async def Act(self, request: inference_pb2.ActRequest, _context: Any) -> inference_pb2.ActResponse:
        """Decides once. A decision takes well under a millisecond, so it runs on the event loop itself."""
        controller = (await self._policies.get(request.policy_id)).controller.own_clock()
        data = ("data", request.data, _by_graph_name(controller.data_inputs))
        if request.carry:
            values, carry = arrays_of(data, ("carry", request.carry, _by_entry(controller.carry_inputs)))
        else:
            (values,), carry = arrays_of(data), controller.initial_carry()
        decision = controller.tick(values, carry)
        return inference_pb2.ActResponse(
            ctrl=decision.ctrl.tolist(),
            carry={name: tensor_message(value) for name, value in decision.carry.items()},
            reward=decision.reward,
            terms=decision.terms,
            done=decision.done,
        )

    async def Evaluate(
        self, request: inference_pb2.EvaluateRequest, _context: Any
    ) -> AsyncIterator[inference_pb2.EvaluateResponse]:
        """Plays episodes and tells each as it ends, the summary last."""
        from tabrl_simulation.motion import CheckError

        try:
            check = _check(request.check)
            async with self._evaluations.limit:
                policy = await self._policies.get(request.policy_id)
                episodes = []
                playing = self._evaluations.play(
                    policy, request.episodes or _DEFAULT_EPISODES, seed=request.seed, check=check
                )
                async with contextlib.aclosing(playing):
                    async for episode in playing:
                        episodes.append(episode)
                        yield _episode_message(episode)
                yield _summary_message(episodes)
        except CheckError as error:
            raise invalid_field("check", str(error)) from error
        except ControllerError as error:
            raise incompatible(error.field, error) from error

    async def GetActSignature(
        self, request: inference_pb2.GetActSignatureRequest, _context: Any
    ) -> inference_pb2.GetActSignatureResponse:
        """Returns what Act needs."""
        controller = (await self._policies.get(request.policy_id)).controller
        return inference_pb2.GetActSignatureResponse(
            data=[spec_message(given.tensor.name, given.tensor) for given in controller.data_inputs],
            carry=[spec_message(given.field, given.tensor) for given in controller.carry_inputs],
            initial_carry={name: tensor_message(value) for name, value in controller.initial_carry().items()},
            control_period_secs=controller.manifest.control_period_secs,
        )


def _check(text: str) -> Check | None:
    """Returns the check that a request names; raises `CheckError`."""
    from tabrl_simulation.motion import Check

    return Check(text.strip()) if text.strip() else None


def _by_graph_name(inputs: tuple[GraphInput, ...]) -> Mapping[str, Tensor]:
    return {given.tensor.name: given.tensor for given in inputs}


def _by_entry(inputs: tuple[GraphInput, ...]) -> Mapping[str, Tensor]:
    return {given.field: given.tensor for given in inputs}


def _episode_message(episode: Episode) -> inference_pb2.EvaluateResponse:
    message = inference_pb2.EpisodeResult(
        index=episode.index,
        episode_return=episode.episode_return,
        term_returns=episode.term_returns,
        length=episode.length,
        survived=episode.survived,
    )
    if episode.checked is not None:
        message.checked.held, message.checked.score = episode.checked.holds, episode.checked.score
        message.checked.measures.update(episode.checked.sides)
    return inference_pb2.EvaluateResponse(episode=message)


def _summary_message(episodes: list[Episode]) -> inference_pb2.EvaluateResponse:
    result = summary(episodes)
    message = inference_pb2.EvaluationSummary(
        episodes=result.episodes,
        mean_return=result.mean_return,
        std_return=result.std_return,
        mean_survived=result.mean_survived,
        term_returns=result.term_returns,
        control_latency_secs=result.control_latency_secs,
    )
    if result.checked is not None:
        message.checked.held, message.checked.score = result.checked.held, result.checked.score
        message.checked.measures.update(result.checked.measures)
    return inference_pb2.EvaluateResponse(summary=message)
