"""What Modal's client raises, and what the Trainer makes of it."""

import asyncio
import socket
from types import SimpleNamespace

import aiohttp
import modal
import pytest
from grpclib import GRPCError, Status
from grpclib.exceptions import ProtocolError, StreamTerminatedError
from h2.exceptions import StreamClosedError
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.logs import get_logger

from tabrl_trainer.modal_cloud.failures import modal_failures
from tabrl_trainer.modal_cloud.place import ModalPlace


@pytest.mark.parametrize(
    "raised",
    [
        modal.exception.ConnectionError("Deadline exceeded"),
        modal.exception.ServiceError("upstream connect error"),
        StreamTerminatedError("Connection lost"),
        ProtocolError("Outgoing stream was not ended"),
        GRPCError(Status.UNKNOWN, "Missing grpc-status header"),
        StreamClosedError(3),
        aiohttp.ClientPayloadError("Response payload is not completed"),
        asyncio.IncompleteReadError(b"", 9),
        TimeoutError(),
        ConnectionResetError(104, "Connection reset by peer"),
        socket.gaierror(-3, "Temporary failure in name resolution"),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_a_connection_that_breaks_is_a_cloud_that_cannot_be_reached(raised):
    with pytest.raises(TabrlError) as caught, modal_failures():
        raise raised
    assert (caught.value.code.name, caught.value.reason) == ("UNAVAILABLE", "COMPUTE_UNREACHABLE")


def test_a_fault_of_ours_stays_one():
    with pytest.raises(ZeroDivisionError), modal_failures():
        raise ZeroDivisionError


@pytest.mark.parametrize("raised", [ImportError("modal"), StreamTerminatedError("Connection lost"), KeyError("path")])
async def test_files_that_cannot_be_removed_stay_and_end_nothing(raised):
    async def remove(run_id):
        raise raised

    context = SimpleNamespace(config=SimpleNamespace(modal_slots=1), log=get_logger("test"))
    await ModalPlace(context, None, "trainer-1", SimpleNamespace(remove=remove)).tidy("run-1")
