"""What RewardGen can be told."""

from __future__ import annotations

from dataclasses import dataclass

from tabrl_chassis.config import ServiceConfig, option, peer

__all__ = ["LIBRARY", "Config"]

LIBRARY = "library"
"""Name of the built-in library among the models."""


@dataclass(frozen=True)
class Config(ServiceConfig):
    """Flags of RewardGen beside the common ones."""

    scene_address: str = peer("scene")
    trainer_address: str = peer("trainer")
    exporter_address: str = peer("exporter")
    llm_model: str = option(
        "LiteLLM names of the models to offer, comma-separated, in the order to ask them; empty for the library alone",
        "",
    )
    llm_api_base: str = option(
        "address of the OpenAI-compatible endpoint of the openai/ models; empty for OpenAI's own", ""
    )
    llm_secrets_file: str = option(
        "file with the providers' keys as lines NAME=value, readable by its owner alone; empty for the environment's",
        "",
    )
    llm_idle_secs: float = option("how long a model may say nothing in the middle of an answer", 45.0)
    llm_timeout_secs: float = option("how long one answer of a model may take", 120.0)
    llm_attempts: int = option("how often a model may try, repairs included", 4)
    llm_daily_budget_usd: float = option(
        "what language models may cost in a day (UTC), in US dollars, where their price is known; 0 for no limit", 0.0
    )
    improvements: int = option("how many improvements, of which each takes minutes to hours, go on at once", 2)
    generations: int = option("how many rewards are written at once", 4)

    @property
    def llm_models(self) -> tuple[str, ...]:
        """The configured models, in order."""
        return tuple(dict.fromkeys(name.strip() for name in self.llm_model.split(",") if name.strip()))
