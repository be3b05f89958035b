import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { PlayerSession } from "./playerSession";

/** What holds for all robots of a session. */
export interface SessionProps {
  readonly lanes: number;
  readonly artifacts?: string | undefined;
  readonly playing: boolean;
  readonly speed?: number | undefined;
  readonly noise?: boolean | undefined;
  readonly contacts?: boolean | undefined;
  readonly grab?: boolean | undefined;
  readonly episode?: number | undefined;
}

/** A worker for as long as the element is on the page; everything else is told to it. Stages join in their own effects, which come later. */
export function usePlayerSession(props: SessionProps): RefObject<PlayerSession | null> {
  const { lanes, playing, speed = 1, noise = false, contacts = false, grab = true, episode = 0 } = props;
  const session = useRef<PlayerSession>(null);
  const firstArtifacts = useRef(props.artifacts);

  useLayoutEffect(() => {
    const made = new PlayerSession(firstArtifacts.current);
    session.current = made;
    return () => {
      session.current = null;
      made.dispose();
    };
  }, []);
  // Before a lane's own effects, which name its scene.
  useLayoutEffect(() => session.current?.setLanes(lanes), [lanes]);

  useEffect(() => session.current?.setSpeed(speed), [speed]);
  useEffect(() => session.current?.setNoise(noise), [noise]);
  useEffect(() => session.current?.setContacts(contacts), [contacts]);
  useEffect(() => session.current?.setGrabbable(grab), [grab]);
  useEffect(() => session.current?.setPlaying(playing), [playing]);

  const lastEpisode = useRef(episode);
  useEffect(() => {
    if (episode === lastEpisode.current) return;
    lastEpisode.current = episode;
    session.current?.reset();
  }, [episode]);
  return session;
}
