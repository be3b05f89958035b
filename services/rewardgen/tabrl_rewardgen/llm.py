"""Calls to language models through LiteLLM, which is imported when the first one is made."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from tabrl_chassis.errors import TabrlError

from tabrl_rewardgen.config import Config
from tabrl_rewardgen.prompting import ANSWER_SCHEMA, Message

__all__ = ["Completion", "Usage", "ask"]

_LONGEST_ANSWER = 200_000
_RATE_LIMIT_WAIT_SECS = 20.0


@dataclass(frozen=True)
class Usage:
    """What calls cost; `cost_usd` is None when a price is not known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    calls: int = 0

    def plus(self, other: Usage) -> Usage:
        """Return the sum."""
        known = self.cost_usd is not None and other.cost_usd is not None
        cost = (self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            cost,
            self.calls + other.calls,
        )


@dataclass(frozen=True)
class Completion:
    """The end of an answer: its whole text, and what it cost."""

    text: str
    usage: Usage


async def ask(config: Config, model: str, messages: Sequence[Message]) -> AsyncGenerator[str | Completion, None]:
    """Yield a model's answer piece by piece, and its `Completion` last.

    Raises:
        TabrlError: PROVIDER_AUTHENTICATION, PROVIDER_RATE_LIMITED, PROVIDER_TIMEOUT or PROVIDER_FAILED, in the
            provider's words.
    """
    litellm = await asyncio.to_thread(_litellm)
    pieces: list[str] = []
    length = 0
    try:
        async with asyncio.timeout(config.llm_timeout_secs):
            stream = await litellm.acompletion(**_request(litellm, config, model, messages))
            usage = None
            # An answer that is given up, by us or by who asked, must not go on to be written and paid for.
            async with _closing(stream):
                async for chunk in stream:
                    usage = getattr(chunk, "usage", None) or usage
                    piece = chunk.choices[0].delta.content if chunk.choices else None
                    if piece:
                        pieces.append(piece)
                        length += len(piece)
                        yield piece
                    if length > _LONGEST_ANSWER:
                        break
    except TimeoutError as e:
        raise _timed_out(config, model) from e
    except Exception as e:
        raise _typed(litellm, e, config, model) from e
    text = "".join(pieces)
    yield Completion(text, await asyncio.to_thread(_usage, litellm, model, usage))


@contextlib.asynccontextmanager
async def _closing(stream: Any) -> AsyncGenerator[None, None]:
    """Close a stream of LiteLLM at the end; some of its streams have nothing to close."""
    try:
        yield
    finally:
        if close := getattr(stream, "aclose", None):
            await close()


def _litellm() -> Any:
    # Without this the import asks the network for prices, for five seconds and more where there is none.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = True
    return litellm


def _request(litellm: Any, config: Config, model: str, messages: Sequence[Message]) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "timeout": config.llm_timeout_secs,
        "max_retries": 1,
    }
    if config.llm_api_base and _speaks_openai(litellm, model):
        request["api_base"] = config.llm_api_base
        if not os.environ.get("OPENAI_API_KEY"):
            request["api_key"] = "none"  # local endpoints ask for no key, but the client insists on one
    if litellm.supports_response_schema(model=model):
        schema = {"name": "reward", "schema": ANSWER_SCHEMA, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    return request


def _speaks_openai(litellm: Any, model: str) -> bool:
    """Whether the OpenAI-compatible endpoint is meant for this model; others keep their own address and key."""
    try:
        provider = litellm.get_llm_provider(model)[1]
    except litellm.exceptions.BadRequestError:
        return False  # a name without a provider that LiteLLM knows: the call will say so
    return bool(provider == "openai")


def _usage(litellm: Any, model: str, usage: Any) -> Usage:
    prompt_tokens = int(getattr(usage, "prompt_tokens", 0) or 0)
    completion_tokens = int(getattr(usage, "completion_tokens", 0) or 0)
    try:
        prices = litellm.cost_per_token(model=model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        cost: float | None = float(sum(prices)) or None
    except Exception:
        cost = None  # LiteLLM raises a plain Exception for a model whose price it does not know
    return Usage(prompt_tokens, completion_tokens, cost, 1)


def _timed_out(config: Config, model: str) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "PROVIDER_TIMEOUT",
        f"{model} gave no answer within {config.llm_timeout_secs:g} s; try again, or ask for the model library.",
        metadata={"model": model},
        retry_after_secs=5.0,
    )


def _typed(litellm: Any, error: Exception, config: Config, model: str) -> TabrlError:
    """Return the contract's error for one of LiteLLM's."""
    kinds = litellm.exceptions
    words = " ".join(str(error).split())[:500]
    metadata = {"model": model, "provider_error": words}
    if isinstance(error, kinds.Timeout):
        return _timed_out(config, model)
    if isinstance(error, kinds.AuthenticationError | kinds.PermissionDeniedError):
        message = f"{model} refuses the key it was given, or was given none; set the provider's key: {words}"
        return TabrlError(grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_AUTHENTICATION", message, metadata=metadata)
    if isinstance(error, kinds.RateLimitError):
        return TabrlError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "PROVIDER_RATE_LIMITED",
            f"{model} limits the rate, or its quota is spent; wait, or ask for the model library: {words}",
            metadata=metadata,
            retry_after_secs=_RATE_LIMIT_WAIT_SECS,
        )
    return TabrlError(
        grpc.StatusCode.UNAVAILABLE,
        "PROVIDER_FAILED",
        f"{model} could not be reached or failed; try again, or ask for the model library: {words}",
        metadata=metadata,
        retry_after_secs=2.0,
    )
