"""Files that the page has the browser save, and what is in them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.browser_tab import Tab

__all__ = ["Saved", "Seen", "save", "seen"]

_MAGIC: Final = {"image/png": b"\x89PNG\r\n\x1a\n", "video/webm": b"\x1aE\xdf\xa3"}

# Opens a picture, or a video at its last frame, as a browser does that was given the file alone.
_LOOK: Final = """async ({ kind, content }) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: kind }));
  const is = (element, event) => new Promise((resolve, reject) => {
    element.addEventListener(event, resolve, { once: true });
    element.addEventListener("error", () => reject(new Error(`${kind} cannot be opened`)), { once: true });
  });
  const look = (source, width, height, secs) => {
    const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    pen.drawImage(source, 0, 0);
    const { buffer } = pen.getImageData(0, 0, width, height).data;
    return { width, height, secs, colours: new Set(new Uint32Array(buffer)).size };
  };
  if (kind.startsWith("image/")) {
    const image = new Image();
    const loaded = is(image, "load");
    image.src = url;
    await loaded;
    return look(image, image.naturalWidth, image.naturalHeight, 0);
  }
  const video = document.createElement("video");
  video.muted = true;
  const loaded = is(video, "loadeddata");
  video.src = url;
  await loaded;
  const sought = is(video, "seeked");
  video.currentTime = 1e6;
  await sought;
  return look(video, video.videoWidth, video.videoHeight, video.duration);
}"""


@dataclass(frozen=True)
class Saved:
    """A file in the downloads folder."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Seen:
    """What a viewer shows of it; `secs` is 0 for a picture."""

    width: int
    height: int
    secs: float
    colours: int


def save(tab: Tab, act: Callable[[], None]) -> Saved:
    """Does what makes the page save a file, and waits for it."""
    with tab.page.expect_download() as told:
        act()
    return Saved(told.value.suggested_filename, Path(told.value.path()).read_bytes())


def seen(tab: Tab, saved: Saved) -> Seen:
    """Opens a PNG or a WebM in a tab of its own, far from TabRL."""
    kind = "image/png" if saved.name.endswith(".png") else "video/webm"
    assert saved.content.startswith(_MAGIC[kind]), saved.content[:16]
    viewer = tab.page.context.new_page()
    try:
        content = base64.b64encode(saved.content).decode()
        return Seen(**viewer.evaluate(_LOOK, {"kind": kind, "content": content}))
    finally:
        viewer.close()
