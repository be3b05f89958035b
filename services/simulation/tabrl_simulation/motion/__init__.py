"""How a robot moved, in physical measures, and whether that is what was asked; no reward is looked at."""

from tabrl_simulation.motion.checks import Check, CheckError, Judgement
from tabrl_simulation.motion.fitting import require_fits
from tabrl_simulation.motion.recording import Recorder, Recording, record

__all__ = ["Check", "CheckError", "Judgement", "Recorder", "Recording", "record", "require_fits"]
