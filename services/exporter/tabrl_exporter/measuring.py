"""Has the Inference service play a policy, and says what it measured."""

from __future__ import annotations

import grpc
from tabrl.exporter.v1 import exporter_pb2, registry_pb2
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl_chassis.errors import TabrlError, error_from

__all__ = ["measure"]

_DEFAULT_EPISODES = 5
# A hundred long episodes of a humanoid on a busy machine; the gateway waits as long.
_LONGEST_SECS = 900.0


async def measure(
    inference: grpc.aio.Channel, request: registry_pb2.MeasurePolicyRequest
) -> exporter_pb2.PolicyMeasurement:
    """Returns what whole episodes of a policy come to; a caller that goes away ends the playing.

    Raises:
        TabrlError: as InferenceService.Evaluate says, or SERVICE_UNAVAILABLE where there is no answer in time.
    """
    stub = inference_pb2_grpc.InferenceServiceStub(inference)
    asked = inference_pb2.EvaluateRequest(
        policy_id=request.policy_id,
        episodes=request.episodes or _DEFAULT_EPISODES,
        seed=request.seed,
        check=request.check.strip(),
    )
    playing = stub.Evaluate(asked, timeout=_LONGEST_SECS)
    summary: inference_pb2.EvaluationSummary | None = None
    try:
        async for told in playing:
            if told.HasField("summary"):
                summary = told.summary
    except grpc.aio.AioRpcError as error:
        raise error_from(error, service="inference") from error
    finally:
        playing.cancel()
    if summary is None:
        raise TabrlError(
            grpc.StatusCode.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "The inference service ended the evaluation before all episodes were played; try again.",
            metadata={"service": "inference"},
            retry_after_secs=1.0,
        )
    measured = exporter_pb2.PolicyMeasurement(
        episodes=summary.episodes,
        seed=asked.seed,
        mean_return=summary.mean_return,
        std_return=summary.std_return,
        mean_survived=summary.mean_survived,
        term_returns=summary.term_returns,
        check=asked.check,
        check_held=summary.checked.held,
    )
    measured.measure_time.GetCurrentTime()
    return measured
