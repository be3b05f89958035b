"""From a policy on record to one `.tabrl` file."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path
from typing import Final

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2, sharing_pb2
from tabrl.play.bundle import MEDIA_TYPE, Contents, write_bundle
from tabrl.play.refusal import BundleError
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.tasks import SharedWork

from tabrl_exporter.file_names import file_stem
from tabrl_exporter.films import FILES, Films, NotDrawn
from tabrl_exporter.finite import is_finite
from tabrl_exporter.model_card import model_card
from tabrl_exporter.stored_files import parse_manifest

__all__ = ["Bundles"]

_WAITING: Final = 8
_OF_THE_ID: Final = 9
# What differs from one installation to the next, or with each other form that is made of the policy; and what other
# entries say, so that a long title or report does not make the record longer than it may be.
_NOT_SHARED: Final = ("exports", "imported", "create_time", "title", "parity")


class Bundles:
    """Packs policies, one at a time."""

    def __init__(self, artifacts: ArtifactStore, film_folder: Path) -> None:
        """Packs from and into this store, and keeps films of robots in `film_folder`."""
        self._artifacts = artifacts
        self._films = Films(film_folder)
        self._limit = ConcurrencyLimit("bundles", _WAITING)
        self._turn = asyncio.Lock()
        self._under_way: SharedWork[bytes, sharing_pb2.CreateBundleResponse] = SharedWork()

    async def create(self, policy: exporter_pb2.Policy) -> sharing_pb2.CreateBundleResponse:
        """Packs a policy and stores the file, or joins who does; a caller that goes away does not end it.

        Raises:
            TabrlError: as CreateBundle says.
        """
        record = policy.SerializeToString(deterministic=True)
        return await self._under_way.of(record, lambda: self._create(policy), name=f"bundle {policy.policy_id}")

    async def stop(self) -> None:
        """Ends the packing under way."""
        await self._under_way.stop()

    async def _create(self, policy: exporter_pb2.Policy) -> sharing_pb2.CreateBundleResponse:
        async with self._limit, self._turn:
            told, unreadable = _readable(policy)
            contents = await asyncio.to_thread(_gathered, told, self._artifacts)
            content, left_out = await self._packed(contents, policy)
            bundle = await asyncio.to_thread(self._artifacts.put, content, MEDIA_TYPE)
        return sharing_pb2.CreateBundleResponse(
            bundle=bundle,
            download_path=f"/artifacts/{bundle.sha256}",
            file_name=f"{file_stem(policy.environment_id)}-{policy.policy_id[:_OF_THE_ID]}.tabrl",
            left_out=[*unreadable, *left_out],
        )

    async def _packed(self, contents: Contents, policy: exporter_pb2.Policy) -> tuple[bytes, list[str]]:
        """Returns the bundle with its pictures; without them, and why, where they cannot be drawn."""
        content = await asyncio.to_thread(_written, contents)
        try:
            seen = f"{policy.controller.sha256[:32]}-{policy.manifest.sha256[:32]}"
            drawn = await self._films.of(seen, content)
        except NotDrawn as reason:
            return content, [f"{file}: {reason}" for file in FILES]
        with_pictures = dataclasses.replace(contents, files={**contents.files, **drawn})
        return await asyncio.to_thread(_written, with_pictures), []


def _readable(policy: exporter_pb2.Policy) -> tuple[exporter_pb2.Policy, list[str]]:
    """Returns a policy as others can read it, and what that leaves out: who imports takes finite numbers alone."""
    told = exporter_pb2.Policy()
    told.CopyFrom(policy)
    if policy.HasField("imported"):  # what its maker claims goes on with it
        told.parity.CopyFrom(policy.imported.claimed_parity)
        told.measurements.extend(policy.imported.claimed_measurements)
        told.checkpoint_sha256 = policy.imported.claimed_checkpoint_sha256
    left_out = []
    measurements = list(filter(is_finite, told.measurements))
    if bad := len(told.measurements) - len(measurements):
        del told.measurements[:]
        told.measurements.extend(measurements)
        left_out.append(f"measurements: {bad} with a number that is not finite")
    if not is_finite(told.parity.closed_loop):
        told.parity.ClearField("closed_loop")
        left_out.append("closed loop of the parity report: it has a number that is not finite")
    return told, left_out


def _gathered(policy: exporter_pb2.Policy, artifacts: ArtifactStore) -> Contents:
    manifest_json = artifacts.read(policy.manifest.sha256)
    manifest = parse_manifest(manifest_json)
    shared = exporter_pb2.Policy()
    shared.CopyFrom(policy)
    for name in _NOT_SHARED:
        shared.ClearField(name)
    files = {
        "manifest.json": manifest_json,
        "controller.onnx": artifacts.read(policy.controller.sha256),
        "scene/scene.xml": artifacts.read(manifest.scene_xml.sha256),
        **{f"scene/{asset.path}": artifacts.read(asset.artifact.sha256) for asset in manifest.scene_assets},
        "parity.json": _json(policy.parity),
        "policy.json": _json(shared),
        "MODEL_CARD.md": model_card(policy, manifest).encode(),
        **_licences(manifest),
    }
    return Contents(policy.policy_id, policy.environment_id, policy.title, files)


def _licences(manifest: manifest_pb2.ControllerManifest) -> dict[str, bytes]:
    """Returns the texts of licences as files, called after what they cover."""
    texts = [licence for licence in manifest.licences if licence.text]
    return {
        f"licences/{number}-{re.sub('[^a-z0-9]+', '-', licence.covers.lower()).strip('-')[:60] or 'licence'}.txt": (
            licence.text.replace("\0", "").encode()
        )
        for number, licence in enumerate(texts, 1)
    }


def _json(message: Message) -> bytes:
    return json_format.MessageToJson(message, indent=1, sort_keys=True, ensure_ascii=False).encode()


def _written(contents: Contents) -> bytes:
    try:
        return write_bundle(contents)
    except BundleError as error:
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "BUNDLE_REFUSED",
            f"This policy cannot be shared, since nobody could import it: {error}.",
            metadata={"rule": error.rule, "file": error.file},
        ) from error
