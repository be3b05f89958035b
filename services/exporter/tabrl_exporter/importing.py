"""From a stranger's `.tabrl` file to a policy: tried in a jail, verified here, and only then stored."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import grpc
import sqlalchemy as sa
from google.protobuf import json_format, timestamp_pb2
from google.protobuf.message import Message
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2, sharing_pb2
from tabrl.play.bundle import Bundle, read_bundle
from tabrl.play.manifest import Lineage
from tabrl.play.provenance_check import check_lineage
from tabrl.play.refusal import BundleError
from tabrl.type.v1 import artifact_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.uploads import Uploads

from tabrl_exporter import policies
from tabrl_exporter.finite import is_finite
from tabrl_exporter.stored_files import ASSET_TYPE, JSON_TYPE, ONNX_TYPE, XML_TYPE
from tabrl_exporter.trials import JailUnavailable, try_in_jail

__all__ = ["Imports"]

_MOST_READ: Final = 3
# A page of a list has 50 of them, and one message 4 MiB.
_MOST_POLICY_BYTES: Final = 80_000

MessageT = TypeVar("MessageT", bound=Message)


class Imports:
    """Takes bundles in pieces, and publishes what is in them."""

    def __init__(self, database: Database, artifacts: ArtifactStore, folder: Path) -> None:
        """Imports into these stores; `folder` keeps pieces until all of a bundle is there."""
        self._database = database
        self._artifacts = artifacts
        # One at a time, and few that wait: each takes hundreds of megabytes of memory at worst.
        self._turn = asyncio.Lock()
        self._uploads: Uploads[sharing_pb2.ImportBundleRequest, str] = Uploads(folder, self._read, most_read=_MOST_READ)

    async def receive(self, request: sharing_pb2.ImportBundleRequest) -> sharing_pb2.ImportBundleResponse:
        """Takes a piece; after the last one, waits a while for the policy.

        Raises:
            TabrlError: as ImportBundle says.
        """
        received, policy_id = await self._uploads.receive(request)
        if policy_id is None:
            return sharing_pb2.ImportBundleResponse(received_bytes=received)
        policy = await self._database.read(lambda session: policies.find(session, policy_id))
        if policy is None:  # an answer without one would have the caller ask for ever
            raise TabrlError(
                grpc.StatusCode.NOT_FOUND,
                "POLICY_NOT_FOUND",
                "The policy that this file became was deleted meanwhile; import the file again, under a new upload_id.",
                metadata={"policy_id": policy_id},
            )
        return sharing_pb2.ImportBundleResponse(received_bytes=received, policy=policy)

    async def stop(self) -> None:
        """Ends what is being read; who sends the last piece again has it read anew."""
        await self._uploads.stop()

    async def _read(self, content: bytes, _request: sharing_pb2.ImportBundleRequest) -> str:
        async with self._turn:
            with _refusals():
                # Readers are C++ too: what would break one breaks the jail first. The jail's word is then not taken.
                await try_in_jail(content)
                bundle = await asyncio.to_thread(read_bundle, content)
                policy = await asyncio.to_thread(_policy_of, bundle)
            await asyncio.to_thread(_store, bundle, self._artifacts)
            return await self._database.write(lambda session: _published(session, policy))


def _published(session: Session, policy: exporter_pb2.Policy) -> str:
    """Puts the policy on record, unless this installation has it; returns its id here."""
    found = policies.find(session, policy.policy_id)
    if found is not None:
        return found.policy_id  # the id follows from the files
    # It may have been exported here. Few others have the same controller.
    here = sa.select(policies.PolicyRow).filter_by(
        environment_id=policy.environment_id, controller_sha256=policy.controller.sha256
    )
    for known in map(policies.PolicyRow.message, session.scalars(here)):
        if known.manifest.sha256 == policy.manifest.sha256:
            return known.policy_id
    policies.publish(session, policy)
    return policy.policy_id


def _policy_of(bundle: Bundle) -> exporter_pb2.Policy:
    """Returns the policy of a bundle. What its maker says of it is kept as a claim; what can be derived is derived.

    Raises:
        BundleError: RECORD, a record in the bundle is none.
    """
    manifest = _record(bundle, "manifest.json", manifest_pb2.ControllerManifest())
    said = _record(bundle, "policy.json", exporter_pb2.Policy()) if "policy.json" in bundle.files else None
    said = said or exporter_pb2.Policy()
    lineage = manifest.lineage if manifest.HasField("lineage") else said.lineage
    check_lineage(
        Lineage(lineage.run_id, lineage.env_steps, lineage.parent_checkpoint_sha256, lineage.reward_id, lineage.prompt),
        "policy.json",
    )
    now = timestamp_pb2.Timestamp()
    now.GetCurrentTime()
    policy = exporter_pb2.Policy(
        policy_id=_policy_id(bundle),
        environment_id=bundle.environment_id,
        title=bundle.title,
        env_steps=max(0, said.env_steps or manifest.lineage.env_steps),
        controller=_described(bundle.controller, ONNX_TYPE),
        manifest=_described(bundle.files["manifest.json"], JSON_TYPE),
        create_time=now,
        lineage=lineage,
        imported=exporter_pb2.PolicyImport(
            bundle_sha256=bundle.sha256,
            policy_id=bundle.policy_id,
            import_time=now,
            claimed_parity=_record(bundle, "parity.json", exporter_pb2.ParityReport()),
            claimed_measurements=said.measurements[: policies.MOST_MEASUREMENTS],
            claimed_checkpoint_sha256=manifest.checkpoint_sha256,
        ),
    )
    # Policies here that came from a checkpoint of that name are no kin of a stranger's.
    policy.lineage.parent_checkpoint_sha256 = ""
    if said.reward.program_sha256 and said.reward.program_sha256 == manifest.reward_program_sha256:
        policy.reward.CopyFrom(said.reward)
    if policy.ByteSize() > _MOST_POLICY_BYTES:
        raise BundleError("RECORD", f"a policy has {_MOST_POLICY_BYTES:,} bytes at most on record", "policy.json")
    return policy


def _policy_id(bundle: Bundle) -> str:
    """Returns the id here. It follows from the files alone: the bundle's own could be that of a policy to come."""
    files = (bundle.files["controller.onnx"], bundle.files["manifest.json"])
    digests = "".join(hashlib.sha256(content).hexdigest() for content in files)
    return policies.short_id("i", f"imported {digests}")


def _described(content: bytes, media_type: str) -> artifact_pb2.Artifact:
    digest = hashlib.sha256(content).hexdigest()
    return artifact_pb2.Artifact(sha256=digest, size_bytes=len(content), media_type=media_type)


def _record(bundle: Bundle, file: str, message: MessageT) -> MessageT:
    """Reads a message from a file of the bundle, and requires that its numbers are finite."""
    try:
        json_format.Parse(bundle.files[file], message, ignore_unknown_fields=True, max_recursion_depth=24)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        name = message.DESCRIPTOR.full_name
        raise BundleError("RECORD", f"it is no {name}: {' '.join(str(error).split())[:300]}", file) from error
    if file != "manifest.json" and not is_finite(message):
        raise BundleError("RECORD", "it holds a number that is not finite", file)
    return message


def _store(bundle: Bundle, artifacts: ArtifactStore) -> None:
    # The manifest names the others, so it goes last: whoever finds it finds them.
    artifacts.put(bundle.files["scene/scene.xml"], XML_TYPE)
    for content in bundle.scene_assets.values():
        artifacts.put(content, ASSET_TYPE)
    artifacts.put(bundle.controller, ONNX_TYPE)
    artifacts.put(bundle.files["manifest.json"], JSON_TYPE)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except BundleError as error:
        raise TabrlError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "BUNDLE_REFUSED",
            f"This bundle is refused: {error}. Nothing of it was stored.",
            metadata={"rule": error.rule, "file": error.file},
        ) from error
    except JailUnavailable as error:
        message = f"Bundles cannot be tried on this machine: {error}"
        raise TabrlError(grpc.StatusCode.UNAVAILABLE, "JAIL_UNAVAILABLE", message) from error
