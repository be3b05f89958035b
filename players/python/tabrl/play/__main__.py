"""`python -m tabrl.play FILE.tabrl`: plays a bundle, in MuJoCo's viewer or without one."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tabrl.play.bundle import Bundle, BundleError, read_bundle
from tabrl.play.opengl import NoOpenGLError, off_screen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tabrl.play.player import Player, Tick

__all__ = ["main"]

_EXIT_REFUSED: Final = 2
_EXIT_NOT_POSSIBLE: Final = 5
_WIDTH, _HEIGHT = 480, 360
_FRAME_SECS: Final = 1 / 15


class _UsageError(Exception):
    """What was asked cannot be done with this bundle."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the program; returns 0, 2 for a refused file or bad usage, 5 for what is not possible here."""
    asked = _parser().parse_args(arguments)
    try:
        bundle = read_bundle(asked.file)
        if asked.unpack is not None:
            from tabrl.play.unpacking import unpack_into

            unpack_into(bundle, asked.unpack)
            print(f"{asked.unpack}: {len(bundle.files)} files")
            return 0
        return _play(bundle, asked)
    except (BundleError, _UsageError) as error:
        return _failed(asked, error, _EXIT_REFUSED)
    except (NoOpenGLError, ValueError, OSError) as error:
        return _failed(asked, error, _EXIT_NOT_POSSIBLE)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tabrl.play", description="Plays a .tabrl file in MuJoCo.")
    parser.add_argument("file", type=Path, help="the bundle")
    parser.add_argument("--headless", action="store_true", help="open no window; print return, survival and terms")
    parser.add_argument("--video", type=Path, help="film it into this .webp, .gif or .mp4")
    parser.add_argument("--picture", type=Path, help="draw its first moment into this .webp or .png")
    parser.add_argument("--record", type=Path, help="write qpos, ctrl and reward of each tick into this .npz")
    parser.add_argument("--unpack", type=Path, metavar="DIR", help="write its files into this folder, and play nothing")
    parser.add_argument("--secs", type=float, help="simulated time to play; the whole episode if left out")
    parser.add_argument("--reset", type=int, default=0, metavar="N", help="which of its states to start from")
    parser.add_argument("--command", help='what to command the robot, such as "0.5 0 0"')
    parser.add_argument("--seed", type=int, help="draw the environment's noise with this seed; none if left out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _play(bundle: Bundle, asked: argparse.Namespace) -> int:
    draws = asked.video is not None or asked.picture is not None
    if asked.video is not None:
        from tabrl.play.filming import require_video_format

        require_video_format(asked.video)
    in_window = not (asked.headless or draws or asked.record)
    if in_window and not _has_display():
        raise _UsageError("There is no display to open a window on: add --headless, or film it with --video FILE.webp")
    if draws:
        os.environ["MUJOCO_GL"] = off_screen()  # before MuJoCo is imported
    import numpy as np
    from tabrl.play.loading import load

    player = load(bundle)
    held = _held(bundle, asked.command)
    if not 0 <= asked.reset < len(bundle.manifest.resets):
        raise _UsageError(f"--reset is a number from 0 to {len(bundle.manifest.resets) - 1}")
    noise = None if asked.seed is None else np.random.default_rng(asked.seed)
    if in_window:
        from tabrl.play.window import show

        show(player, bundle.manifest, first_reset=asked.reset, held=held, noise=noise, secs=asked.secs)
        return 0
    ticks = _until(player.episode(reset=asked.reset, noise=noise, held=held), asked.secs)
    _watch(bundle, player, ticks, asked)
    return 0


def _watch(bundle: Bundle, player: Player, ticks: Iterator[Tick], asked: argparse.Namespace) -> None:
    """Plays an episode, and films, records and adds it up as was asked."""
    from contextlib import ExitStack

    from tabrl.play.episodes import Recording, Tally

    tally, recording = Tally(bundle.manifest), Recording()
    pictures: list[Any] = []
    with ExitStack() as stack:
        camera = None
        if asked.video is not None or asked.picture is not None:
            from tabrl.play.filming import Camera

            camera = stack.enter_context(Camera(player.data.model, width=_WIDTH, height=_HEIGHT))
        begin = time.perf_counter()
        for tick in ticks:
            tally.add(tick)
            if asked.record is not None:
                recording.add(tick)
            due = len(pictures) * _FRAME_SECS if asked.video is not None else len(pictures)
            if camera is not None and tick.time_secs >= due - 1e-9 and (asked.video is not None or not pictures):
                pictures.append(camera.picture(player.data))
        took = time.perf_counter() - begin
    _save(pictures, recording, asked)
    _print(bundle, tally.summary(), took, asked)


def _save(pictures: list[Any], recording: Any, asked: argparse.Namespace) -> None:
    from tabrl.play.filming import save_picture, save_video

    if asked.record is not None:
        recording.save(asked.record)
    if asked.picture is not None:
        save_picture(pictures[0], asked.picture)
    if asked.video is not None:
        save_video(pictures, asked.video, frame_secs=_FRAME_SECS)


def _print(bundle: Bundle, summary: Any, took_secs: float, asked: argparse.Namespace) -> None:
    if asked.json:
        print(json.dumps({"environment_id": bundle.environment_id, "policy_id": bundle.policy_id, **asdict(summary)}))
        return
    print(f"{_printable(bundle.title or bundle.policy_id)}: {_printable(bundle.environment_id)}")
    for line in summary.lines():
        print(_printable(line))
    if not (asked.video or asked.picture):
        print(f"played {summary.secs / max(took_secs, 1e-9):.0f} times as fast as time passes")


def _until(ticks: Iterator[Tick], secs: float | None) -> Iterator[Tick]:
    for tick in ticks:
        yield tick
        if secs is not None and tick.time_secs >= secs - 1e-9:
            return


def _held(bundle: Bundle, command: str | None) -> dict[str, NDArray[np.generic]]:
    """Returns the carry entries to hold for a command."""
    if command is None:
        return {}
    import numpy as np
    from tabrl.play.episodes import command_fields
    from tabrl.play.manifest import InputSource

    fields = command_fields(bundle.manifest)
    if not fields:
        raise _UsageError("This robot takes no command; leave --command out")
    shape = next(
        given.tensor
        for given in bundle.manifest.inputs
        if given.field == fields[0] and given.source is InputSource.CARRY
    )
    try:
        values = np.array([float(text) for text in command.replace(",", " ").split()], shape.dtype)
    except ValueError as error:
        raise _UsageError(f"--command {command!r}: these are no numbers") from error
    if values.size != np.prod(shape.shape, dtype=int) or not np.isfinite(values).all():
        raise _UsageError(f"--command takes {int(np.prod(shape.shape))} finite numbers, not {values.size}")
    return {fields[0]: values.reshape(shape.shape)}


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _failed(asked: argparse.Namespace, error: Exception, status: int) -> int:
    if asked.json:
        rule, file = (error.rule, error.file) if isinstance(error, BundleError) else ("", "")
        print(json.dumps({"error": {"message": str(error), "rule": rule, "file": file}}), file=sys.stderr)
    else:
        print(_printable(str(error)), file=sys.stderr)
    return status


def _printable(text: str) -> str:
    """A bundle's texts are a stranger's: a terminal must obey none of them."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


if __name__ == "__main__":
    sys.exit(main())
