"""Reaching a gateway that is slow to accept, one that is absent, and one that comes back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc

from tabrl_cli.conftest import Server
from tabrl_cli.connection import CONNECT_SECS, Connection
from tabrl_cli.errors import CallError


@pytest.fixture
def slow(server: tuple[Server, str]) -> Iterator[str]:
    """The URL of a server that takes a while to accept a connection, as on a busy machine."""
    port = int(server[1].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_pass_on, args=(listening, port), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def test_a_gateway_that_is_slow_to_accept_is_there(slow: str) -> None:
    connection = Connection(slow)
    found = connection.call(connection.scene.ListEnvironments, scene_pb2.ListEnvironmentsRequest())
    assert found.total_size == 2
    connection.close()


def test_a_refused_connection_is_noticed_at_once_and_tried_again_soon() -> None:
    # given a port on which nothing listens
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        connection = Connection(f"http://127.0.0.1:{port}")
        request = scene_pb2.ListEnvironmentsRequest()
        with pytest.raises(CallError) as raised:
            connection.call(connection.scene.ListEnvironments, request, timeout=CONNECT_SECS / 2)
    assert raised.value.reason == "GATEWAY_UNREACHABLE"

    # when a gateway starts there, then it is found before the time for a connection would be over
    running = grpc.server(futures.ThreadPoolExecutor(2))
    scene_pb2_grpc.add_SceneServiceServicer_to_server(Server(), running)
    running.add_insecure_port(f"127.0.0.1:{port}")
    running.start()
    grpc.channel_ready_future(connection.channel).result(timeout=CONNECT_SECS / 2)
    assert connection.call(connection.scene.ListEnvironments, request).total_size == 2
    connection.close()
    running.stop(None)


def _pass_on(listening: socket.socket, port: int) -> None:
    """Lets each connection wait, and joins it to a port."""
    while True:
        try:
            accepted, _ = listening.accept()
            time.sleep(0.5)
            onward = socket.create_connection(("127.0.0.1", port))
        except OSError:
            return
        for source, target in ((accepted, onward), (onward, accepted)):
            threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
