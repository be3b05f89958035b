import { useEffect, useRef, useState } from "react";
import type { RobotStageHandle } from "../player";

/** What a player gives to whoever records it. */
type Take = ReturnType<RobotStageHandle["record"]>;

/** A video of one stage or several that is being recorded, or none. */
export interface Recording {
  readonly running: boolean;
  readonly elapsedSecs: number;
  /** `begin` starts the player's part; the player calls `onLimit` once a video is as long as it may be. */
  start(begin: (onLimit: () => void) => Take): void;
  stop(): void;
}

/** Records until it is stopped or long enough; `onDone` gets the video, `onFailure` what went wrong instead. Whoever leaves the page gets none. */
export function useRecording(onDone: (video: Blob) => void, onFailure: (error: unknown) => void): Recording {
  const current = useRef<Take>(undefined);
  const latest = useRef({ onDone, onFailure });
  latest.current = { onDone, onFailure };
  const [startMs, setStartMs] = useState<number>();
  const [nowMs, setNowMs] = useState(0);

  useEffect(() => {
    if (startMs === undefined) return;
    const timer = setInterval(() => setNowMs(performance.now()), 250);
    return () => clearInterval(timer);
  }, [startMs]);

  // A video that nobody waits for any more is thrown away.
  useEffect(
    () => () => {
      current.current?.stop().catch(() => undefined);
      current.current = undefined;
    },
    [],
  );

  function stop() {
    const take = current.current;
    current.current = undefined;
    setStartMs(undefined);
    take?.stop().then(
      (video) => latest.current.onDone(video),
      (error: unknown) => latest.current.onFailure(error),
    );
  }

  return {
    running: startMs !== undefined,
    elapsedSecs: startMs === undefined ? 0 : Math.max(0, Math.floor((nowMs - startMs) / 1000)),
    start(begin) {
      if (current.current) return;
      try {
        current.current = begin(stop);
      } catch (error) {
        onFailure(error);
        return;
      }
      const began = performance.now();
      setStartMs(began);
      setNowMs(began);
    },
    stop,
  };
}
