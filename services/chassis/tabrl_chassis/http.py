"""A service's HTTP port: `/metrics`, `/artifacts/<sha256>` with ranges and immutable caching, and routes of its own.

Errors are `google.rpc.Status` as JSON, as the gateway's are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import grpc
from aiohttp import web
from google.protobuf import json_format
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import TabrlError, to_status

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "UNAVAILABLE": 503,
    "RESOURCE_EXHAUSTED": 507,
}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_THIS_MACHINE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Artifacts are data: whatever their media type says, a browser must not run them as a page of ours.
_CONTENT_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Accept-Ranges": "bytes",
}


def http_application(
    artifacts: ArtifactStore, *, host: str = "127.0.0.1", routes: Iterable[web.RouteDef] = ()
) -> web.Application:
    """Return the application that a service serves on its HTTP port, with further `routes` of its own.

    Where it listens on the loopback interface (`host`), it answers to this machine's names alone: a page whose owner
    points a name here (DNS rebinding) reads nothing.
    """
    application = web.Application(middlewares=[_typed_errors, *([_this_machine] if host in _LOOPBACK else [])])
    application.router.add_get("/metrics", _metrics)
    application.router.add_get("/artifacts/{sha256}", _Artifacts(artifacts).get)
    application.router.add_routes(routes)
    return application


@web.middleware
async def _typed_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        there = ", ".join(sorted({resource.canonical for resource in request.app.router.resources()}))
        message = f"There is nothing at this address; there are {there}."
        typed = TabrlError(grpc.StatusCode.NOT_FOUND, "ROUTE_NOT_FOUND", message)
    except (web.HTTPException, ConnectionError):
        raise  # what aiohttp itself answers, or nobody listens any more
    except Exception as error:
        if request.writer.output_size > 0:
            raise  # it is too late to say so: the connection breaks off, so that nobody waits for the rest
        typed = as_tabrl_error(error, f"{request.method} {request.path}")
    body = json_format.MessageToDict(to_status(typed), preserving_proto_field_name=True)
    return web.json_response(body, status=_HTTP_STATUS.get(typed.code.name, 500))


@web.middleware
async def _this_machine(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if not _THIS_MACHINE.fullmatch(request.host):
        raise TabrlError(
            grpc.StatusCode.PERMISSION_DENIED,
            "HOST_NOT_ALLOWED",
            "This service answers to localhost, 127.0.0.1 and [::1] only, whatever name led here.",
        )
    return await handler(request)


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Artifacts:
    """GET and HEAD of artifacts by digest."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def get(self, request: web.Request) -> web.StreamResponse:
        sha256 = request.match_info["sha256"]
        artifact = await asyncio.to_thread(self._store.describe, sha256)
        etag = f'"{sha256}"'
        headers = {**_CONTENT_HEADERS, "ETag": etag}
        if _matches(request.headers.get("If-None-Match", ""), etag):
            return web.Response(status=304, headers=headers)
        size = artifact.size_bytes
        span = _range(request, etag, size)
        if span is not None and span[0] >= span[1]:
            return web.Response(status=416, headers={**_CONTENT_HEADERS, "Content-Range": f"bytes */{size}"})
        start, stop = span or (0, size)
        headers |= {"Content-Type": artifact.media_type, "Content-Length": str(stop - start)}
        if span is not None:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response = web.StreamResponse(status=200 if span is None else 206, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            async for chunk in self._chunks(sha256, start, stop):
                await response.write(chunk)
        await response.write_eof()
        return response

    async def _chunks(self, sha256: str, start: int, stop: int) -> AsyncIterator[bytes]:
        chunks = self._store.chunks(sha256, start, stop)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk


def _matches(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags


def _range(request: web.Request, etag: str, size: int) -> tuple[int, int] | None:
    """Return the one byte range asked for as (start, stop); None to send everything, as for several ranges at once."""
    match = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if match is None or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = match.groups()
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    if last:
        return max(size - int(last), 0), size
    return None
