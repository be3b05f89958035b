import { type RefObject, useCallback, useRef } from "react";
import type { RobotStageHandle } from "../player";
import type { StageAction } from "./keys";
import type { Playback } from "./usePlayback";

/** Does to the robot on stage, or to all of several, what button or key ask for. */
export function useStageActions(
  playback: Playback,
  stage: RefObject<Pick<RobotStageHandle, "stepOnce" | "resetCamera"> | null>,
) {
  const latest = useRef(playback);
  latest.current = playback;
  return useCallback(
    (action: StageAction) => {
      const { playing, contacts, setPlaying, setContacts, changeSpeed, newEpisode } = latest.current;
      const acts: Readonly<Record<StageAction, () => void>> = {
        play: () => setPlaying(!playing),
        // One step can only be seen while nothing else moves.
        step: () => (playing ? setPlaying(false) : stage.current?.stepOnce()),
        episode: newEpisode,
        camera: () => stage.current?.resetCamera(),
        contacts: () => setContacts(!contacts),
        slower: () => changeSpeed(-1),
        faster: () => changeSpeed(1),
      };
      acts[action]();
    },
    [stage],
  );
}
