"""Writes a verified bundle into a folder, for players in other languages."""

from __future__ import annotations

from pathlib import Path

from tabrl.play.bundle import Bundle

__all__ = ["unpack_into"]


def unpack_into(bundle: Bundle, folder: Path) -> None:
    """Writes every entry of a bundle but `bundle.json` under its path.

    Args:
        bundle: what `read_bundle` returned, so that its paths lead nowhere else.
        folder: made if it is not there; must be empty.

    Raises:
        FileExistsError: something is in the folder already.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name another folder")
    for path, content in bundle.files.items():
        target = folder.joinpath(*path.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(content)
