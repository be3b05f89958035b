"""A TCP connection to the gateway that a test can break, as a bad network does."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from tabrl_local.topology import HOST

# Closing with this sends a reset at once, whatever is still to be sent.
_RESET = struct.pack("ii", 1, 0)


class Line:
    """Passes on what comes to its port, until it is cut. Who connects again has a new connection."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        """Listens; `port` is the gateway's."""
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        self.cuts = 0
        self._port = port
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._cut_in_message = False
        self._down = False
        self._listener = listener
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks every connection at once."""
        with self._lock:
            self._break()

    def cut_in_message(self) -> None:
        """Passes on half of what the gateway sends next, then breaks every connection."""
        with self._lock:
            self._cut_in_message = True

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Breaks every connection, also those that are opened meanwhile."""
        with self._lock:
            self._down = True
            self._break()
        try:
            yield
        finally:
            with self._lock:
                self._down = False

    def _break(self) -> None:
        self.cuts += 1
        self._cut_in_message = False
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # Wakes the thread that reads; the socket is closed there, with a reset.
                each.shutdown(socket.SHUT_RD)
        self._sockets.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                gateway = socket.create_connection((HOST, self._port))
                with self._lock:
                    self._sockets |= {browser, gateway}
                    if self._down:
                        self._break()
                for source, sink in ((browser, gateway), (gateway, browser)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(1 << 16):
                with self._lock:
                    half = self._cut_in_message and source.getpeername()[1] == self._port
                    if source not in self._sockets:
                        return
                sink.sendall(data[: len(data) // 2] if half else data)
                if half:
                    self.cut()
                    return
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def line_to(port: int) -> Iterator[Line]:
    """Opens a line to the gateway at a port of this machine."""
    with socket.create_server((HOST, 0)) as listener:
        line = Line(listener, port)
        yield line
        line.cut()
