"""A service's HTTP port: `/metrics`, and `/artifacts/<sha256>` with ranges and immutable caching."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HTTP_STATUS = {"NOT_FOUND": 404, "UNAVAILABLE": 503, "RESOURCE_EXHAUSTED": 507}
# Artifacts are data: whatever their media type says, a browser must not run them as a page of ours.
_CONTENT_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Accept-Ranges": "bytes",
}


def http_application(artifacts: ArtifactStore) -> web.Application:
    """Return the application that a service serves on its HTTP port."""
    application = web.Application()
    application.router.add_get("/metrics", _metrics)
    application.router.add_get("/artifacts/{sha256}", _Artifacts(artifacts).get)
    return application


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Artifacts:
    """GET and HEAD of artifacts by digest."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def get(self, request: web.Request) -> web.StreamResponse:
        sha256 = request.match_info["sha256"]
        try:
            artifact = await asyncio.to_thread(self._store.describe, sha256)
        except TabrlError as error:
            status = _HTTP_STATUS.get(error.code.name, 500)
            return web.json_response({"reason": error.reason, "message": error.message}, status=status)
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
