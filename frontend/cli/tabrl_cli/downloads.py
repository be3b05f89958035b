"""Files of the gateway: written whole or not at all, verified by their digest, each failure told as what it is."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

from tabrl.type.v1 import artifact_pb2

from tabrl_cli.connection import UsageError
from tabrl_cli.errors import CallError

__all__ = ["cannot_write", "download", "receive"]

# How long nothing may come.
SILENCE_SECS = 60.0
_PIECE_BYTES = 1 << 20
_CODES = {404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 504: "DEADLINE_EXCEEDED"}


def download(gateway: str, path: str, artifact: artifact_pb2.Artifact, target: Path) -> None:
    """Writes an artifact so that the file is there whole or not at all.

    Args:
        gateway: URL of the gateway.
        path: where the file is, from there; or a URL of its own.
        artifact: what it must be.
        target: file to write; one that is there is replaced.

    Raises:
        CallError: it did not come, or came damaged.
        UsageError: it cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with unfinished.open("xb") as file:
            receive(gateway, path, artifact, file)
        unfinished.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def receive(gateway: str, path: str, artifact: artifact_pb2.Artifact, file: IO[bytes]) -> None:
    """Writes an artifact to an open file; the arguments are those of `download`.

    Raises:
        CallError: it did not come, or came damaged; the file may hold part of it.
        OSError: the file cannot be written.
    """
    url = urljoin(f"{gateway}/", path)
    digest = hashlib.sha256()
    with _opened(url) as answer:
        while piece := _piece(url, answer):
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != artifact.sha256:
        message = f"What came from {url} is damaged: its digest is {digest.hexdigest()}. Nothing was kept; try again."
        raise CallError("DATA_LOSS", "DOWNLOAD_DAMAGED", message)


def cannot_write(target: Path, error: OSError) -> UsageError:
    """Says that a file cannot be written, and why."""
    return UsageError(f"{target} cannot be written: {error.strerror or error}")


def _opened(url: str) -> http.client.HTTPResponse:
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=SILENCE_SECS)
    except urllib.error.HTTPError as error:  # a URLError too, but one that was answered
        with error:
            raise _refused(url, error) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _timed_out(url) from error
        message = f"No TabRL answers at {url}: {error.reason}."
        raise CallError("UNAVAILABLE", "GATEWAY_UNREACHABLE", message) from error
    except TimeoutError as error:
        raise _timed_out(url) from error
    except (OSError, http.client.HTTPException) as error:
        raise _broken_off(url) from error
    return answer


def _piece(url: str, answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_PIECE_BYTES)
    except TimeoutError as error:
        raise _timed_out(url) from error
    except (OSError, http.client.HTTPException) as error:
        raise _broken_off(url) from error


def _refused(url: str, error: urllib.error.HTTPError) -> CallError:
    """Reads the `google.rpc.Status` that the services and the gateway answer with."""
    reason, message = "DOWNLOAD_FAILED", f"{url} answers with status {error.code}."
    with contextlib.suppress(ValueError, LookupError, TypeError, OSError, http.client.HTTPException):
        status = json.loads(error.read())
        message = str(status["message"])
        reason = str(status["details"][0]["reason"])
    code = _CODES.get(error.code, "UNAVAILABLE" if error.code >= 500 else "FAILED_PRECONDITION")
    return CallError(code, reason, message)


def _timed_out(url: str) -> CallError:
    message = f"Nothing came from {url} for {SILENCE_SECS:g} s; try again."
    return CallError("DEADLINE_EXCEEDED", "DOWNLOAD_TIMED_OUT", message)


def _broken_off(url: str) -> CallError:
    return CallError("UNAVAILABLE", "DOWNLOAD_FAILED", f"The download from {url} broke off; try again.")
