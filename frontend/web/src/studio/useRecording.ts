import { useEffect, useRef, useState } from "react";

/** A video of the stage that is being recorded, or none. */
export interface Recording {
  readonly running: boolean;
  readonly elapsedSecs: number;
  start(begin: () => { stop(): Promise<Blob> }): void;
  stop(): void;
}

/** Records until it is stopped; `onDone` gets the video, `onFailure` what went wrong instead. */
export function useRecording(onDone: (video: Blob) => void, onFailure: (error: unknown) => void): Recording {
  const current = useRef<{ stop(): Promise<Blob> }>(undefined);
  const [startMs, setStartMs] = useState<number>();
  const [nowMs, setNowMs] = useState(0);

  useEffect(() => {
    if (startMs === undefined) return;
    const timer = setInterval(() => setNowMs(performance.now()), 250);
    return () => clearInterval(timer);
  }, [startMs]);

  return {
    running: startMs !== undefined,
    elapsedSecs: startMs === undefined ? 0 : Math.max(0, Math.floor((nowMs - startMs) / 1000)),
    start(begin) {
      if (current.current) return;
      try {
        current.current = begin();
      } catch (error) {
        onFailure(error);
        return;
      }
      const began = performance.now();
      setStartMs(began);
      setNowMs(began);
    },
    stop() {
      const recording = current.current;
      current.current = undefined;
      setStartMs(undefined);
      recording?.stop().then(onDone, onFailure);
    },
  };
}
