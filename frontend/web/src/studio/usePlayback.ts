import { useState } from "react";

/** How fast a robot may be played, from slow motion to four times real time. */
export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

/** How the robot on stage is played and drawn. */
export interface Playback {
  readonly playing: boolean;
  /** Simulated per real time. */
  readonly speed: number;
  /** Counts what the person started anew. */
  readonly episode: number;
  readonly contacts: boolean;
  readonly noise: boolean;
  setPlaying(playing: boolean): void;
  setSpeed(speed: number): void;
  /** The next speed up or down; stays at either end. */
  changeSpeed(direction: 1 | -1): void;
  newEpisode(): void;
  setContacts(contacts: boolean): void;
  setNoise(noise: boolean): void;
}

/** `speeds`, ascending, are those that `changeSpeed` goes through. */
export function usePlayback(speeds: readonly number[] = SPEEDS): Playback {
  const [playing, setPlaying] = useState(true);
  const [speed, setSpeed] = useState(1);
  const [episode, setEpisode] = useState(0);
  const [contacts, setContacts] = useState(false);
  const [noise, setNoise] = useState(false);
  return {
    playing,
    speed,
    episode,
    contacts,
    noise,
    setPlaying,
    setSpeed,
    changeSpeed: (direction) => setSpeed(speeds[speeds.indexOf(speed) + direction] ?? speed),
    newEpisode: () => setEpisode(episode + 1),
    setContacts,
    setNoise,
  };
}
