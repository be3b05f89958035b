import { PlayerError } from "../errors";

/** Sent by a stage's canvas each time it has been drawn, while its pixels can be read. */
export const drawnEvent = "stage:drawn";
/** Asks a stage's canvas to be drawn soon. */
export const drawEvent = "stage:draw";

const longestSecs = 120;
/** How long a video is waited for that is stopped before it has begun. */
const longestWaitMs = 5000;
const framesPerSec = 30;
const widestPixels = 1920;
const bitsPerSec = 8_000_000;
const labelHeight = 36;

/** WebM as browsers write it, the best first. */
const formats = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"] as const;

export interface RecordingOptions {
  /** Written over the pictures, in their order. */
  readonly labels?: readonly string[];
  /** Told when the recording has ended by itself, after two minutes; `stop` still gives what was recorded. */
  readonly onLimit?: () => void;
}

export interface Recording {
  /** Ends the recording and gives the video; the same one each time. */
  stop(): Promise<Blob>;
}

/** Where one picture goes in the video. */
export interface Tile {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The format to record in; undefined where the browser records none. */
export function recordingFormat(
  isSupported: ((format: string) => boolean) | undefined = globalThis.MediaRecorder?.isTypeSupported,
): string | undefined {
  return formats.find((format) => isSupported?.call(globalThis.MediaRecorder, format));
}

/** Puts pictures side by side, all as high as the first, no wider together than a screen; sizes are even, as encoders want them. */
export function tilesFor(sizes: readonly { readonly width: number; readonly height: number }[]): Tile[] {
  const height = sizes[0]?.height ?? 0;
  const widths = sizes.map((size) => (size.height > 0 ? (size.width * height) / size.height : 0));
  const total = widths.reduce((sum, width) => sum + width, 0);
  const scale = total > widestPixels ? widestPixels / total : 1;
  let x = 0;
  return widths.map((width) => {
    const tile = { x, y: 0, width: even(scale * width), height: even(scale * height) };
    x += tile.width;
    return tile;
  });
}

/**
 * Records stages into one video until it is stopped, or for two minutes. A frame is added when something is drawn, so nothing
 * is spent while nothing moves.
 *
 * @throws PlayerError RECORDING_UNSUPPORTED
 */
export function recordCanvases(
  canvases: readonly HTMLCanvasElement[],
  { labels = [], onLimit }: RecordingOptions = {},
): Recording {
  const format = recordingFormat();
  const sheet = document.createElement("canvas");
  const pen = sheet.getContext("2d");
  if (!format || !pen || typeof sheet.captureStream !== "function") {
    throw new PlayerError(
      "RECORDING_UNSUPPORTED",
      "This browser cannot record video. Try Chrome, Edge or Firefox, or save a picture instead.",
    );
  }
  const tiles = tilesFor(canvases);
  const last = tiles.at(-1);
  sheet.width = Math.max(2, last ? last.x + last.width : 0);
  sheet.height = Math.max(2, last?.height ?? 0);

  const drawing = new AbortController();
  canvases.forEach((canvas, i) => {
    const tile = tiles[i];
    if (!tile) return;
    const copy = () => drawTile(pen, canvas, tile, labels[i]);
    canvas.addEventListener(drawnEvent, copy, { signal: drawing.signal });
    canvas.dispatchEvent(new Event(drawEvent));
  });

  const stream = sheet.captureStream(framesPerSec);
  const recorder = new MediaRecorder(stream, { mimeType: format, videoBitsPerSecond: bitsPerSec });
  const chunks: Blob[] = [];
  const video = new Promise<Blob>((resolve, reject) => {
    recorder.addEventListener("dataavailable", ({ data }) => chunks.push(data));
    recorder.addEventListener("error", () =>
      reject(
        new PlayerError("RECORDING_UNSUPPORTED", "The browser stopped recording. Record again, or a shorter time."),
      ),
    );
    recorder.addEventListener("stop", () => resolve(new Blob(chunks, { type: "video/webm" })));
  });
  // Whoever calls `stop` hears of a failure; before that nobody does.
  video.catch(() => undefined);

  const end = () => {
    clearTimeout(limit);
    drawing.abort();
    if (recorder.state !== "inactive") recorder.stop();
    for (const track of stream.getTracks()) track.stop();
  };
  const limit = setTimeout(() => {
    end();
    onLimit?.();
  }, 1000 * longestSecs);
  // A machine that is hard at work may not have encoded anything yet when it is told to stop.
  const begun = new Promise<void>((resolve) => {
    recorder.addEventListener("dataavailable", ({ data }) => data.size > 0 && resolve());
    recorder.addEventListener("stop", () => resolve());
  });
  recorder.start(1000);

  async function finish(): Promise<Blob> {
    await Promise.race([begun, new Promise((resolve) => setTimeout(resolve, longestWaitMs))]);
    end();
    const whole = await video;
    if (whole.size > 0) return whole;
    throw new PlayerError(
      "RECORDING_UNSUPPORTED",
      "Nothing was recorded: this machine had no time to. Record again, a little longer, or close what else is open.",
    );
  }
  let finished: Promise<Blob> | undefined;
  return {
    stop: () => {
      finished ??= finish();
      return finished;
    },
  };
}

/** Draws a stage as the page shows it: over its background, which is the page's and not in its own pixels. */
export function drawTile(
  pen: CanvasRenderingContext2D,
  canvas: HTMLCanvasElement,
  { x, y, width, height }: Tile,
  label = "",
): void {
  const style = getComputedStyle(canvas);
  const backdrop = pen.createLinearGradient(0, y, 0, y + height);
  backdrop.addColorStop(0, style.getPropertyValue("--stage-top").trim() || "#a9b5ac");
  backdrop.addColorStop(1, style.getPropertyValue("--stage-bottom").trim() || "#d3dad2");
  pen.fillStyle = backdrop;
  pen.fillRect(x, y, width, height);
  pen.drawImage(canvas, x, y, width, height);
  if (!label) return;
  pen.font = `600 ${Math.round(labelHeight / 2)}px ${style.fontFamily || "sans-serif"}`;
  pen.textBaseline = "middle";
  pen.fillStyle = style.getPropertyValue("--stage-ink").trim() || "#141a17";
  const room = width - labelHeight;
  pen.fillText(
    fitting(label, (text) => pen.measureText(text).width <= room),
    x + labelHeight / 2,
    y + labelHeight / 2 + 4,
  );
}

/** As much of a text as fits, with an ellipsis where something is left out. */
export function fitting(text: string, fits: (text: string) => boolean): string {
  if (fits(text)) return text;
  for (let length = text.length - 1; length > 0; length--) {
    const cut = `${text.slice(0, length).trimEnd()}…`;
    if (fits(cut)) return cut;
  }
  return "";
}

function even(value: number): number {
  return 2 * Math.round(value / 2);
}
