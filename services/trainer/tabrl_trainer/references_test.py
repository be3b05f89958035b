"""The Trainer names what its records need, over a real socket, on each kind of database."""

import itertools

import pytest
from tabrl.artifacts.v1 import artifacts_pb2, artifacts_pb2_grpc
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.database import Database

from tabrl_trainer.conftest import a_run
from tabrl_trainer.models import BatchRow, CheckpointRow
from tabrl_trainer.record import PENDING, PUBLISHED, REFUSED, SKIPPED, now

PAUSED = trainer_pb2.RUN_STATE_PAUSED
SUCCEEDED = trainer_pb2.RUN_STATE_SUCCEEDED
DONE = batches_pb2.BATCH_STATE_SUCCEEDED
RUNNING = batches_pb2.BATCH_STATE_RUNNING


@pytest.fixture
def digests():
    """Give digests, each another one."""
    return (f"{number:064x}" for number in itertools.count(1))


def spec_of(digests, *, start=""):
    """Return a spec with a reward, and the digests that it has."""
    program, onnx = next(digests), next(digests)
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance")
    spec.reward.program_sha256, spec.reward.onnx_sha256 = program, onnx
    if start:
        spec.start_from.checkpoint_sha256 = start
    return spec, {program, onnx}


def a_batch(batch_id, state, spec):
    """Return the row of a batch of one candidate and a search, both of a spec."""
    batch = batches_pb2.BatchSpec(search=batches_pb2.SearchSpec(base=spec))
    batch.candidates.add(label="one").spec.CopyFrom(spec)
    return BatchRow(
        batch_id=batch_id, spec=batch.SerializeToString(), state=state, revision=1, create_time=now(), winner=None
    )


async def named(rig) -> set[str]:
    """Return what the Trainer names."""
    stub = artifacts_pb2_grpc.ReferenceServiceStub(rig.channel)
    told = [part async for part in stub.ListReferences(artifacts_pb2.ListReferencesRequest())]
    return {digest for part in told for digest in part.sha256}


async def test_every_kind_of_file_that_is_needed_is_named_and_no_other(rig, digests):
    database = Database(rig.config.database_url)
    needed, needless, rows = set(), set(), []

    # given a run under way, and one that has ended, both of a reward and from a checkpoint
    for state, started_from in ((PAUSED, needed), (SUCCEEDED, needless)):
        start = next(digests)
        spec, files = spec_of(digests, start=start)
        run = a_run(f"run-{state}", state)
        run.spec, run.start_sha256 = spec.SerializeToString(), start
        rows.append(run)
        needed |= files
        started_from.add(start)

    # checkpoints in every state, of which one was given up
    for number, publication in enumerate((PENDING, PUBLISHED, SKIPPED, REFUSED)):
        needed.add(sha256 := next(digests))
        rows.append(a_checkpoint(sha256, publication, number))
    needless.add(sha256 := next(digests))
    rows.append(a_checkpoint(sha256, SKIPPED, 9, pruned=True))

    # and batches, one running and one that has ended
    for state, started_from in ((RUNNING, needed), (DONE, needless)):
        start = next(digests)
        spec, files = spec_of(digests, start=start)
        rows.append(a_batch(f"batch-{state}", state, spec))
        needed |= files
        started_from.add(start)

    def add(session):
        session.add_all(rows[:2])
        session.flush()
        session.add_all(rows[2:])

    await database.write(add)
    database.close()

    # when the Trainer is asked, then it names what is needed
    assert await named(rig) == needed
    assert needless


def a_checkpoint(sha256, publication, number, *, pruned=False):
    """Return the row of a checkpoint of the run that has ended."""
    return CheckpointRow(
        run_id=f"run-{SUCCEEDED}",
        env_steps=1000 * number,
        sha256=sha256,
        size_bytes=1,
        media_type="",
        final=False,
        policy_id="",
        publication=publication,
        pruned=pruned,
    )
