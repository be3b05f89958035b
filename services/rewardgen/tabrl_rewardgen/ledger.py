"""What language models cost: every call on record, and a limit for a day.

A call is put on record when its answer is complete, whether the answer was of use or not. Where the price of a model
is not known, its calls count for nothing towards the limit.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError

from tabrl_rewardgen.llm import Usage
from tabrl_rewardgen.storage import Base

__all__ = ["Ledger", "LlmCallRow", "Purse"]


class LlmCallRow(Base):
    """A call of a language model; `cost_usd` is None where the price is not known."""

    __tablename__ = "llm_calls"

    sequence: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    create_time: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True), index=True)
    model: Mapped[str] = mapped_column(sa.String(200))
    prompt_tokens: Mapped[int] = mapped_column(sa.Integer)
    completion_tokens: Mapped[int] = mapped_column(sa.Integer)
    cost_usd: Mapped[float | None] = mapped_column(sa.Float)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Ledger:
    """The calls on record, and what may still be spent today (UTC)."""

    def __init__(self, database: Database, budget_usd: float, now: Callable[[], datetime.datetime] = _now) -> None:
        """Keeps to a budget for each day; 0 for none."""
        self._database = database
        self._budget_usd = budget_usd
        self._now = now

    async def require_budget(self) -> None:
        """Makes sure that something may be spent today.

        Raises:
            TabrlError: the day's budget is spent (LLM_BUDGET_SPENT); the error says until when.
        """
        if not self._budget_usd:
            return
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spent_usd = await self._database.read(lambda session: _spent_since(session, midnight))
        if spent_usd < self._budget_usd:
            return
        left = midnight + datetime.timedelta(days=1) - now
        message = (
            f"Language models have cost ${spent_usd:.2f} today, and ${self._budget_usd:.2f} is the limit for a day. "
            "Wait until midnight UTC, raise --llm-daily-budget-usd, or ask for the model library."
        )
        raise _spent(message, spent_usd, self._budget_usd, retry_after_secs=left.total_seconds())

    async def add(self, model: str, usage: Usage) -> None:
        """Puts a call on record."""
        row = {
            "create_time": self._now(),
            "model": model,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_usd": usage.cost_usd,
        }
        await self._database.write(lambda session: session.add(LlmCallRow(**row)))


class Purse:
    """A ledger with a limit of its own: what one improvement may cost, whoever else spends meanwhile."""

    def __init__(self, ledger: Ledger | Purse, budget_usd: float) -> None:
        """Keeps to this budget besides the ledger's; 0 for none."""
        self._ledger = ledger
        self._budget_usd = budget_usd
        self._spent_usd = 0.0

    async def require_budget(self) -> None:
        """Makes sure that something may be spent.

        Raises:
            TabrlError: this budget or that of the day is spent (LLM_BUDGET_SPENT).
        """
        if self._budget_usd and self._spent_usd >= self._budget_usd:
            message = (
                f"Language models have cost ${self._spent_usd:.2f} here, and ${self._budget_usd:.2f} is the limit that "
                "was set. Set more, or ask for the model library."
            )
            raise _spent(message, self._spent_usd, self._budget_usd)
        await self._ledger.require_budget()

    async def add(self, model: str, usage: Usage) -> None:
        """Puts a call on record, also one whose answer was of no use."""
        self._spent_usd += usage.cost_usd or 0.0
        await self._ledger.add(model, usage)


def _spent_since(session: Session, time: datetime.datetime) -> float:
    query = sa.select(sa.func.coalesce(sa.func.sum(LlmCallRow.cost_usd), 0.0)).where(LlmCallRow.create_time >= time)
    return float(session.scalar(query) or 0.0)


def _spent(message: str, spent_usd: float, budget_usd: float, retry_after_secs: float | None = None) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "LLM_BUDGET_SPENT",
        message,
        metadata={"spent_usd": f"{spent_usd:.4f}", "budget_usd": f"{budget_usd:.4f}"},
        retry_after_secs=retry_after_secs,
    )
