"""Calls to language models through LiteLLM, which is imported when the first one is made."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import grpc
from tabrl_chassis.errors import TabrlError

from tabrl_rewardgen.config import Config
from tabrl_rewardgen.prompting import ANSWER_SCHEMA, Message
from tabrl_rewardgen.secrets import key_for, redacted

__all__ = ["Completion", "Usage", "ask"]

_LONGEST_ANSWER = 200_000
_DECLINES = re.compile(
    r"\W*(?:i['\u2019]?m sorry|i am sorry|sorry|i can['\u2019]t|i cannot|i won['\u2019]t|as an ai|"
    r"i(?: am|['\u2019]m) (?:not able|unable))\b",
    re.IGNORECASE,
)
_RATE_LIMIT_WAIT_SECS = 20.0
_LONGEST_WAIT_SECS = 3600.0
_NO_SECRETS: Mapping[str, str] = MappingProxyType({})


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
    """The end of an answer: its whole text, what it cost, and whether it was cut off at the limit of tokens."""

    text: str
    usage: Usage
    cut_off: bool = False


async def ask(
    config: Config, model: str, messages: Sequence[Message], secrets: Mapping[str, str] = _NO_SECRETS
) -> AsyncGenerator[str | Completion, None]:
    """Yield a model's answer piece by piece, and its `Completion` last.

    `secrets` are keys of providers by the names of their variables; where they have none, LiteLLM looks in the
    environment. Where an answer breaks off, what it cost until then is yielded as a `Completion` without text before
    the error.

    Raises:
        TabrlError: PROVIDER_AUTHENTICATION, PROVIDER_RATE_LIMITED, PROVIDER_REFUSED, PROVIDER_TIMEOUT or
            PROVIDER_FAILED, in the provider's words.
    """
    litellm = await asyncio.to_thread(_litellm)
    said = _Said()
    failure: TabrlError | None = None
    deadline = asyncio.get_running_loop().time() + config.llm_timeout_secs
    try:
        async with asyncio.timeout_at(deadline):
            stream = await litellm.acompletion(**_request(litellm, config, model, messages, secrets))
        # An answer that is given up, by us or by who asked, must not go on to be written and paid for.
        async with _closing(stream):
            async for chunk in _chunks(stream, config.llm_idle_secs, deadline):
                if piece := said.hear(chunk):
                    yield piece
                if said.length > _LONGEST_ANSWER:
                    break
    except TimeoutError as e:
        is_late = asyncio.get_running_loop().time() >= deadline
        failure = _timed_out(config, model) if is_late else _stalled(config, model)
        failure.__cause__ = e
    except Exception as e:
        failure = _typed(litellm, e, config, model, secrets)
        failure.__cause__ = e
    if failure is not None and not said.pieces and failure.reason != "PROVIDER_TIMEOUT":
        raise failure
    usage = await asyncio.to_thread(_spent, litellm, model, messages, said)
    if failure is None and said.is_refusal:
        failure = _declined(model, said)
    if failure is not None:
        yield Completion("", usage)
        raise failure
    yield Completion(said.text, usage, cut_off=said.finish_reason == "length")


@dataclass
class _Said:
    """What a model has said so far."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    usage: Any = None
    finish_reason: str = ""
    refusal: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def is_refusal(self) -> bool:
        if self.refusal or self.finish_reason == "content_filter":
            return True
        # LiteLLM 1.9x drops the field that OpenAI refuses in, and others refuse in plain words anyway.
        return bool(_DECLINES.match(self.text)) and "def reward" not in self.text and '"source"' not in self.text

    def hear(self, chunk: Any) -> str:
        """Take a chunk in and return its piece of the answer."""
        self.usage = getattr(chunk, "usage", None) or self.usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.finish_reason = choice.finish_reason or self.finish_reason
        further = getattr(choice.delta, "provider_specific_fields", None) or {}
        self.refusal += getattr(choice.delta, "refusal", None) or further.get("refusal") or ""
        piece = choice.delta.content or ""
        if piece:
            self.pieces.append(piece)
            self.length += len(piece)
        return str(piece)


async def _chunks(stream: Any, idle_secs: float, deadline: float) -> AsyncGenerator[Any, None]:
    """Yield the chunks of a stream; TimeoutError where it pauses for longer than it may, or goes on past the deadline.

    No timeout is on while a chunk is out: it would end whoever has it.
    """
    iterator = aiter(stream)
    clock = asyncio.get_running_loop().time
    while True:
        async with asyncio.timeout_at(min(deadline, clock() + idle_secs)):
            try:
                chunk = await anext(iterator)
            except StopAsyncIteration:
                return
        yield chunk


def _spent(litellm: Any, model: str, messages: Sequence[Message], said: _Said) -> Usage:
    return _usage(litellm, model, said.usage or _estimated(litellm, model, messages, said.text))


@dataclass(frozen=True)
class _Estimate:
    """Tokens that were counted here, as the provider did not say."""

    prompt_tokens: int
    completion_tokens: int


def _estimated(litellm: Any, model: str, messages: Sequence[Message], text: str) -> _Estimate:
    try:
        prompt = litellm.token_counter(model=model, messages=list(messages))
        return _Estimate(int(prompt), int(litellm.token_counter(model=model, text=text)) if text else 0)
    except Exception:  # a tokenizer that cannot be had must not lose the call: four characters make about a token
        characters = sum(len(message["content"]) for message in messages)
        return _Estimate(characters // 4, len(text) // 4)


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


def _request(
    litellm: Any, config: Config, model: str, messages: Sequence[Message], secrets: Mapping[str, str]
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "timeout": config.llm_timeout_secs,
        "max_retries": 1,
    }
    provider = _provider(litellm, model)
    key = key_for(provider, secrets)
    if key:
        request["api_key"] = key
    if config.llm_api_base and provider == "openai":
        request["api_base"] = config.llm_api_base
        if not key and not os.environ.get("OPENAI_API_KEY"):
            request["api_key"] = "none"  # local endpoints ask for no key, but the client insists on one
    if litellm.supports_response_schema(model=model):
        schema = {"name": "reward", "schema": ANSWER_SCHEMA, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    return request


def _provider(litellm: Any, model: str) -> str:
    """Return the provider of a model; `openai` stands for the OpenAI-compatible endpoint as well."""
    try:
        return str(litellm.get_llm_provider(model)[1])
    except litellm.exceptions.BadRequestError:
        return ""  # a name without a provider that LiteLLM knows: the call will say so


def _usage(litellm: Any, model: str, usage: Any) -> Usage:
    prompt_tokens = int(getattr(usage, "prompt_tokens", 0) or 0)
    completion_tokens = int(getattr(usage, "completion_tokens", 0) or 0)
    try:
        prices = litellm.cost_per_token(model=model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        cost: float | None = float(sum(prices)) or None
    except Exception:
        cost = None  # LiteLLM raises a plain Exception for a model whose price it does not know
    return Usage(prompt_tokens, completion_tokens, cost, 1)


def _retry_after_secs(error: Any) -> float:
    """Return how long the provider asks to wait, within an hour; a guess where it does not say."""
    # LiteLLM makes a response of its own for the error; the provider's headers are kept beside it.
    headers = getattr(error, "litellm_response_headers", None) or {}
    try:
        asked = float(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return _RATE_LIMIT_WAIT_SECS
    return min(asked, _LONGEST_WAIT_SECS) if asked > 0 else _RATE_LIMIT_WAIT_SECS


def _declined(model: str, said: _Said) -> TabrlError:
    words = " ".join((said.refusal or said.text or "no reason was given").split())[:500]
    return TabrlError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "PROVIDER_REFUSED",
        f"{model} declines to write this reward; reword the prompt, or ask for the model library: {words}",
        metadata={"model": model, "provider_error": words},
    )


def _timed_out(config: Config, model: str) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "PROVIDER_TIMEOUT",
        f"{model} gave no whole answer within {config.llm_timeout_secs:g} s; try again, or ask for the model library.",
        metadata={"model": model},
        retry_after_secs=5.0,
    )


def _stalled(config: Config, model: str) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "PROVIDER_TIMEOUT",
        f"{model} said nothing for {config.llm_idle_secs:g} s; try again, or ask for the model library.",
        metadata={"model": model},
        retry_after_secs=5.0,
    )


def _typed(litellm: Any, error: Exception, config: Config, model: str, secrets: Mapping[str, str]) -> TabrlError:
    """Return the contract's error for one of LiteLLM's."""
    kinds = litellm.exceptions
    words = redacted(" ".join(str(error).split()), secrets.values())[:500]
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
            retry_after_secs=_retry_after_secs(error),
        )
    return TabrlError(
        grpc.StatusCode.UNAVAILABLE,
        "PROVIDER_FAILED",
        f"{model} could not be reached or failed; try again, or ask for the model library: {words}",
        metadata=metadata,
        retry_after_secs=2.0,
    )
