"""The Trainer with a worker that follows a script: `python -m tests.robustness.scripted_trainer WORKER [flags]`."""

import sys

from tabrl_chassis.service import main
from tabrl_trainer.service import trainer_service

if __name__ == "__main__":
    main(trainer_service((sys.argv[1],)), sys.argv[2:])
