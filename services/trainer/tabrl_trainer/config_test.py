"""What the Trainer refuses to be told."""

import pytest
from tabrl_chassis.config import parse_config

from tabrl_trainer.config import TrainerConfig


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--modal-slots=0"], "argument --modal-slots: 0 is less than 1"),
        (["--modal-slots=-1"], "argument --modal-slots: -1 is less than 1"),
        (["--slots=-1"], "argument --slots: -1 is less than 0"),
    ],
)
def test_slots_that_no_run_could_have_are_refused(flags, words, capsys):
    with pytest.raises(SystemExit):
        parse_config(TrainerConfig, "trainer", arguments=flags, environment={})
    assert words in capsys.readouterr().err


def test_no_slots_are_as_many_as_the_machine_has_gpus():
    assert parse_config(TrainerConfig, "trainer", arguments=["--slots=0"], environment={}).slots == 0
