"""Policies, loaded when they are first asked for; the ones used last are kept."""

from __future__ import annotations

import asyncio
import copy
import functools
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import numpy as np
from prometheus_client import Gauge, Histogram
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.play import manifest_json, player
from tabrl.play.player import Array, Decision, Values
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError

if TYPE_CHECKING:
    import mujoco

__all__ = ["LoadedPolicy", "Policies", "TimedController", "incompatible"]

_LATENCY = Histogram(
    "tabrl_inference_control_latency_seconds",
    "Time of one decision of a controller.",
    buckets=(0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
)
_LOADED = Gauge("tabrl_inference_policies_loaded", "Policies that are kept loaded.")


class TimedController(player.Controller):
    """A controller that knows how long each of its decisions took, from gathering the inputs to sorting the outputs."""

    latencies_secs: list[float]
    _begin: float

    def feed(self, values: Values, carry: Values, noise: np.random.Generator | None = None) -> dict[str, Array]:
        """Gathers the graph's inputs, and starts the clock."""
        self._begin = time.perf_counter()
        return super().feed(values, carry, noise)

    def decision(self, feed: Values, outputs: Values) -> Decision:
        """Sorts the outputs of a run, and stops the clock."""
        decision = super().decision(feed, outputs)
        self.latencies_secs.append(time.perf_counter() - self._begin)
        _LATENCY.observe(self.latencies_secs[-1])
        return decision

    def own_clock(self) -> TimedController:
        """Returns a twin with a clock of its own on the same graph, for one thread."""
        twin = copy.copy(self)
        twin.latencies_secs = []
        return twin


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy that is ready to decide."""

    controller: TimedController
    artifacts: ArtifactStore

    @functools.cached_property
    def model(self) -> mujoco.MjModel:
        """The scene that it drives, loaded on first use. Blocks.

        Raises:
            TabrlError: a file of the scene is missing (ARTIFACT_NOT_FOUND) or cannot be read.
        """
        from tabrl_simulation import bundle

        manifest = self.controller.manifest
        files: Mapping[str, bytes] = {
            path: self.artifacts.read(file.sha256) for path, file in manifest.scene_assets.items()
        }
        xml = self.artifacts.read(manifest.scene_xml.sha256).decode()
        return bundle.load_scene(bundle.SceneFiles(xml, files))


class Policies:
    """The Exporter's policies, of which the last few used are kept loaded: a policy never changes once published."""

    def __init__(self, exporter: grpc.aio.Channel, artifacts: ArtifactStore, *, maximum: int) -> None:
        """Starts with none loaded."""
        self._exporter = exporter_pb2_grpc.ExporterServiceStub(exporter)
        self._artifacts = artifacts
        self._maximum = maximum
        self._loading: OrderedDict[str, asyncio.Task[LoadedPolicy]] = OrderedDict()

    async def get(self, policy_id: str) -> LoadedPolicy:
        """Returns a policy, loading it when it is not there; callers that want the same one share the loading.

        Raises:
            TabrlError: no such policy (POLICY_NOT_FOUND), no answer from the Exporter (SERVICE_UNAVAILABLE), or a file
                of it is gone (ARTIFACT_NOT_FOUND) or not for this machine (CONTROLLER_INCOMPATIBLE).
        """
        task = self._loading.get(policy_id)
        if task is None:
            task = asyncio.create_task(self._load(policy_id))
            self._loading[policy_id] = task
            task.add_done_callback(functools.partial(self._loaded, policy_id))
        self._loading.move_to_end(policy_id)
        # A caller that gives up must not take the policy from the others who wait for it.
        return await asyncio.shield(task)

    async def _load(self, policy_id: str) -> LoadedPolicy:
        request = exporter_pb2.GetPolicyRequest(policy_id=policy_id)
        response = await call(self._exporter.GetPolicy, request, service="exporter", timeout_secs=5.0)
        return await asyncio.to_thread(self._open, response.policy)

    def _open(self, policy: exporter_pb2.Policy) -> LoadedPolicy:
        try:
            manifest = manifest_json.loads(self._artifacts.read(policy.manifest.sha256))
            controller = TimedController(self._artifacts.read(policy.controller.sha256), manifest)
        except manifest_json.ManifestError as error:
            raise incompatible("manifest", error) from error
        except player.ControllerError as error:
            raise incompatible(error.field, error) from error
        return LoadedPolicy(controller, self._artifacts)

    def _loaded(self, policy_id: str, task: asyncio.Task[LoadedPolicy]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._loading.pop(policy_id, None)  # the next caller tries again
        while len(self._loading) > self._maximum:
            self._loading.popitem(last=False)
        _LOADED.set(len(self._loading))


def incompatible(field: str, error: Exception) -> TabrlError:
    """Returns the error of a controller that was not made for what runs here; `field` names the manifest's entry."""
    return TabrlError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "CONTROLLER_INCOMPATIBLE",
        f"This policy cannot be played here: {error}",
        metadata={"field": field},
    )
