import { useEffect, useState } from "react";
import { useSession } from "../app/session";
import { playable } from "../stores/runRecord";
import { useStore } from "../stores/store";
import type { Seen } from "./steps";

/** What a person has done so far, as the page itself knows it. */
export function useSeen(): Seen {
  const { navigation, runs, tour } = useSession();
  const place = useStore(navigation.place);
  const record = useStore(runs.records).get(place.runId);
  const grabbed = useStore(tour.pulled);
  return { place, prompt: usePrompt(), hasPolicy: record !== undefined && playable(record.run).length > 0, grabbed };
}

/** What stands in the box for the prompt; read after whatever a person did on the page. */
function usePrompt(): string {
  const [prompt, setPrompt] = useState(readPrompt);
  useEffect(() => {
    // What was clicked has its effect after the event has gone all the way up.
    const read = () => queueMicrotask(() => setPrompt(readPrompt()));
    for (const type of ["input", "click"]) window.addEventListener(type, read);
    return () => {
      for (const type of ["input", "click"]) window.removeEventListener(type, read);
    };
  }, []);
  return prompt;
}

function readPrompt(): string {
  const box = document.querySelector("[data-testid=prompt]");
  return box instanceof HTMLTextAreaElement ? box.value : "";
}
