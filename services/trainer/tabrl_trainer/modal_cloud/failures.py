"""What Modal's client raises, as typed errors that say what to do."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

import grpc
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.modal_cloud import names

DEPLOY = "modal deploy deploy/modal/app.py"
_LONGEST_CAUSE_CHARS = 300


@contextlib.contextmanager
def modal_failures() -> Iterator[None]:
    """Raise what Modal's client raises as `TabrlError`: the reasons that begin with COMPUTE_."""
    from modal import exception

    try:
        yield
    except exception.AuthError as error:
        if "Token missing" in str(error) or "was not found in" in str(error):
            raise _refused(
                "COMPUTE_NOT_CONFIGURED",
                "No Modal token is set up on this machine, so nothing can be trained on Modal.",
                f"Run `modal token new`, then `{DEPLOY}`, and start TabRL again; or leave out `compute` to train here.",
            ) from None
        raise _refused(
            "COMPUTE_REFUSED",
            "Modal refuses the token of this machine.",
            "Run `modal token new` and start TabRL again.",
            error,
        ) from None
    except exception.PermissionDeniedError as error:
        remedy = "Ask for access to the workspace, or run `modal token new` for another one and start TabRL again."
        raise _refused("COMPUTE_REFUSED", "Modal does not let this token do that.", remedy, error) from None
    except exception.NotFoundError as error:
        raise _refused(
            "COMPUTE_APP_NOT_DEPLOYED",
            f"The app {names.APP} of this release is not deployed on Modal.",
            f"Run `{DEPLOY}`.",
            error,
        ) from None
    except exception.ResourceExhaustedError as error:
        raise TabrlError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "COMPUTE_QUOTA_SPENT",
            f"Modal has reached a limit of the account: {_cause(error)}. Raise it at modal.com/settings, wait until "
            "other runs have ended, or train here.",
            metadata={"cause": _cause(error), "remedy": "Raise the limit at modal.com/settings, wait, or train here."},
            retry_after_secs=60.0,
        ) from None
    except (exception.VersionError, exception.InvalidError) as error:
        remedy = f"Install this release's packages (`make install`) and run `{DEPLOY}`."
        raise _refused("COMPUTE_REFUSED", "Modal does not take the call.", remedy, error) from None
    except client_errors() as error:
        raise TabrlError(
            grpc.StatusCode.UNAVAILABLE,
            "COMPUTE_UNREACHABLE",
            f"Modal cannot be reached: {_cause(error)}. Is this machine online? See status.modal.com, then try again.",
            metadata={"cause": _cause(error), "remedy": "Check the network and status.modal.com, then try again."},
            retry_after_secs=5.0,
        ) from None


def client_errors() -> tuple[type[Exception], ...]:
    """Return what Modal's client raises when a call fails."""
    from grpclib import GRPCError
    from modal import exception

    return exception.Error, GRPCError, *broken_connection()


def broken_connection() -> tuple[type[Exception], ...]:
    """Return what Modal's client lets through of a broken connection beside its own errors: of gRPC, HTTP and sockets.

    Its last attempt at a call raises what gRPC said of it as it is.
    """
    import aiohttp
    from grpclib.exceptions import ProtocolError, StreamTerminatedError
    from h2.exceptions import H2Error

    return StreamTerminatedError, ProtocolError, H2Error, aiohttp.ClientError, EOFError, OSError


class _WithoutSecrets(logging.Filter):
    """Takes secrets out of what Modal's client logs, such as words of its server at level DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _without_secrets(record.getMessage()), ()
        return True


def keep_secrets_out_of_logs() -> None:
    """Have Modal's client log no secret; once is enough."""
    for name in ("modal-client", "modal-utils"):
        logger = logging.getLogger(name)
        if not any(isinstance(present, _WithoutSecrets) for present in logger.filters):
            logger.addFilter(_WithoutSecrets())


def _refused(reason: str, message: str, remedy: str, error: Exception | None = None) -> TabrlError:
    metadata = {"remedy": remedy}
    if error is not None:
        metadata["cause"] = _cause(error)
    return TabrlError(grpc.StatusCode.FAILED_PRECONDITION, reason, f"{message} {remedy}", metadata=metadata)


def _cause(error: Exception) -> str:
    """Return the words of an error, without what may be a secret."""
    text = " ".join(str(error).split()) or type(error).__name__
    return _without_secrets(text)[:_LONGEST_CAUSE_CHARS]


def _without_secrets(text: str) -> str:
    from modal.config import config

    for name in ("token_id", "token_secret"):
        secret = config.get(name)
        if secret:
            text = text.replace(secret, "…")
    # Modal's tokens look so; those of other profiles and of other people are no business of ours either.
    return re.sub(r"\b(ak|as|wk|ws)-[A-Za-z0-9]{8,}", "…", text)
