"""The searches of batches: Optuna's tree-structured Parzen estimator with its storage in the Trainer's own database.

Its tables stand beside ours (`studies`, `trials`, ...; none has the name of one of ours). Both it and we have Alembic,
whose table `alembic_version` is one for both: ours is there first and has a row, so Optuna writes none, and its check
of that row against its own revisions is left out. Which schema its tables have is in its `version_info`, and which
Optuna makes them is pinned by our lock.

What decides is our record: before each proposal what came of the trials is told to Optuna where it does not know yet,
and a trial that it has and we have not, because the process ended in between, is taken up before another is asked for.
Each proposal has draws of its own, from the seed and the number of the trial, so a restart repeats none.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from tabrl.trainer.v1 import batches_pb2
from tabrl_chassis.database import Database

from tabrl_trainer.search_parameters import is_whole

if TYPE_CHECKING:
    import optuna

__all__ = ["Outcome", "Proposal", "Searches"]

_BUSY_TIMEOUT_SECS: Final = 10
_FEWEST_RANDOM_TRIALS, _MOST_RANDOM_TRIALS = 4, 10
_LARGEST_SEED: Final = 2**32 - 1


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: its score, None where it failed; `rung` where it was stopped early."""

    trial: int
    score: float | None
    rung: int | None = None


@dataclass(frozen=True)
class Proposal:
    """A trial, and the values of its parameters as text."""

    trial: int
    parameters: dict[str, str]


class Searches:
    """Proposes trials. Optuna and its tables are there from the first search on; what blocks runs in a thread."""

    def __init__(self, database: Database) -> None:
        """Keep the database."""
        self._database = database
        self._storage: optuna.storages.RDBStorage | None = None
        self._one_at_a_time = threading.Lock()

    async def propose(
        self, batch_id: str, search: batches_pb2.SearchSpec, outcomes: Sequence[Outcome], taken: Collection[int]
    ) -> Proposal:
        """Return the next trial.

        Args:
            batch_id: names the study.
            search: what is searched.
            outcomes: what came of the trials that have ended.
            taken: numbers of all trials that are on our record.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database cannot be used.
        """
        return await asyncio.to_thread(self._locked, self._propose, batch_id, search, outcomes, taken)

    async def tell(self, batch_id: str, outcomes: Sequence[Outcome]) -> None:
        """Tell the study what came of its last trials; raises as `propose`."""
        await asyncio.to_thread(self._locked, self._tell_all, batch_id, outcomes)

    async def forget(self, batch_id: str) -> None:
        """Delete a study, if there is one; raises as `propose`."""
        await asyncio.to_thread(self._locked, self._forget, batch_id)

    def _locked(self, work: Any, *arguments: Any) -> Any:
        import optuna

        try:
            with self._one_at_a_time:
                return work(*arguments)
        except optuna.exceptions.StorageInternalError as error:
            # What the database said is what tells whether trying again may help.
            raise (error.__cause__ if isinstance(error.__cause__, sa.exc.SQLAlchemyError) else error) from error

    def _propose(
        self, batch_id: str, search: batches_pb2.SearchSpec, outcomes: Sequence[Outcome], taken: Collection[int]
    ) -> Proposal:
        import optuna

        study = self._study(batch_id)
        self._tell(study, outcomes)
        left = [
            trial
            for trial in study.get_trials(deepcopy=False)
            if not trial.state.is_finished() and trial.number not in taken
        ]
        number = min(trial.number for trial in left) if left else study.ask().number
        study.sampler = _sampler(search, number)
        (frozen,) = [trial for trial in study.get_trials(deepcopy=False) if trial.number == number]
        trial = optuna.trial.Trial(study, frozen._trial_id)
        return Proposal(number, {each.name: _suggested(trial, each) for each in search.parameters})

    def _tell_all(self, batch_id: str, outcomes: Sequence[Outcome]) -> None:
        self._tell(self._study(batch_id), outcomes)

    def _tell(self, study: optuna.Study, outcomes: Sequence[Outcome]) -> None:
        import optuna

        state = optuna.trial.TrialState
        unfinished = {
            trial.number: trial for trial in study.get_trials(deepcopy=False) if not trial.state.is_finished()
        }
        for outcome in outcomes:
            if outcome.trial not in unfinished:
                continue
            frozen = unfinished[outcome.trial]
            if outcome.score is None:
                study.tell(outcome.trial, state=state.FAIL)
            elif outcome.rung is None:
                study.tell(outcome.trial, outcome.score)
            else:
                if outcome.rung not in frozen.intermediate_values:
                    optuna.trial.Trial(study, frozen._trial_id).report(outcome.score, step=outcome.rung)
                study.tell(outcome.trial, state=state.PRUNED)

    def _forget(self, batch_id: str) -> None:
        import optuna

        if self._storage is None and not sa.inspect(self._database.engine).has_table("studies"):
            return
        try:
            optuna.delete_study(study_name=batch_id, storage=self._opened())
        except KeyError:
            return  # it never began

    def _study(self, batch_id: str) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(
            storage=self._opened(), study_name=batch_id, direction="maximize", load_if_exists=True
        )

    def _opened(self) -> optuna.storages.RDBStorage:
        import optuna

        if self._storage is None:
            url = self._database.url.render_as_string(hide_password=False)
            if self._database.is_shared:
                self._storage = self._opened_on_postgresql(url)
            else:
                connecting = {"connect_args": {"timeout": _BUSY_TIMEOUT_SECS}}
                self._storage = optuna.storages.RDBStorage(url, connecting, skip_compatibility_check=True)
        return self._storage

    def _opened_on_postgresql(self, url: str) -> optuna.storages.RDBStorage:
        import optuna
        from tabrl_chassis import postgresql

        connecting = {"connect_args": postgresql.CONNECTING, "pool_pre_ping": True}
        with self._database.changing_schema():
            storage = optuna.storages.RDBStorage(url, connecting, skip_compatibility_check=True)
        storage.engine.dispose()  # of the connection that made its tables
        postgresql.never_wait_for_ever(storage.engine)
        return storage

    def close(self) -> None:
        """Close its connections."""
        if self._storage is not None:
            self._storage.engine.dispose()


def _sampler(search: batches_pb2.SearchSpec, number: int) -> optuna.samplers.TPESampler:
    import optuna

    random_trials = min(_MOST_RANDOM_TRIALS, max(_FEWEST_RANDOM_TRIALS, search.trials // 3))
    with warnings.catch_warnings():
        # Of arguments that may change; the lock pins the release.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=(search.seed * 1_000_003 + number) % _LARGEST_SEED,
            n_startup_trials=random_trials,
            constant_liar=True,  # trials under way count as bad, so that those at once differ
        )


def _suggested(trial: optuna.trial.Trial, parameter: batches_pb2.SearchParameter) -> str:
    if parameter.HasField("choices"):
        return str(trial.suggest_categorical(parameter.name, list(parameter.choices.values)))
    low, high, log = parameter.range.low, parameter.range.high, parameter.range.log
    if is_whole(parameter.name):
        return str(trial.suggest_int(parameter.name, int(low), int(high), log=log))
    return repr(trial.suggest_float(parameter.name, low, high, log=log))
