"""What the Trainer can be told."""

from __future__ import annotations

from dataclasses import dataclass

from tabrl_chassis.config import ServiceConfig, option, peer


@dataclass(frozen=True)
class TrainerConfig(ServiceConfig):
    """Flags and `TABRL_*` variables of the Trainer."""

    scene_address: str = peer("scene")
    exporter_address: str = peer("exporter")
    inference_address: str = peer("inference")
    slots: int = option("how many runs train at once; 0 for one per GPU, or one where there is none", 0, least=0)
    modal_slots: int = option("how many runs train on Modal at once", 4, least=1)
    niceness: int = option("niceness of worker processes, 0 to 19, so that the machine stays responsive", 10)
    checkpoint_secs: float = option("time between two checkpoints of a run", 10.0)
    keep_checkpoints: int = option(
        "how many of a run's checkpoints that no policy came of are kept: the newest ones", 5
    )
    max_queued: int = option("how many runs may wait for a slot", 1000)
