"""Which files of the artifact store Scene names: scenes and pictures that it hands out, and recorded states."""

from __future__ import annotations

import asyncio

from tabrl_chassis.references import digests_in

from tabrl_scene.menagerie import Portraits
from tabrl_scene.recordings import Recordings
from tabrl_scene.scenes import Scenes
from tabrl_scene.shelf import Shelf

__all__ = ["named_files"]


async def named_files(shelf: Shelf, scenes: Scenes, recordings: Recordings, portraits: Portraits) -> set[str]:
    """Return the digests.

    Raises:
        TabrlError: the environments, or the uploaded scenes, are not all known yet (SERVICE_UNAVAILABLE).
    """
    scenes.require_all_loaded()
    shelved = [*shelf.environments.values(), *scenes.environments.values()]
    messages = [*(each.bundle for each in shelved), *(each.message for each in shelved), *shelf.summaries]
    found = {digest for message in messages for digest in digests_in(message)}
    others = [*await asyncio.to_thread(recordings.kept), *portraits.made]
    return found | {each.sha256 for each in others}
