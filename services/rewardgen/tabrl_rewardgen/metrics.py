"""What RewardGen counts beside its calls."""

from prometheus_client import Counter, Histogram

__all__ = ["COMPILE_SECONDS", "LLM_COST", "LLM_TOKENS", "REWARDS"]

REWARDS = Counter("tabrl_rewards", "Rewards asked for, by model and outcome.", ("model", "outcome"))
LLM_TOKENS = Counter("tabrl_llm_tokens", "Tokens of language models.", ("model", "kind"))
LLM_COST = Counter("tabrl_llm_cost_usd", "Cost of language models in US dollars, where the price is known.", ("model",))
COMPILE_SECONDS = Histogram(
    "tabrl_reward_compile_seconds",
    "Time to check, trace, verify and seal reward source.",
    buckets=(0.25, 0.5, 1, 2, 4, 8, 16, 32),
)
