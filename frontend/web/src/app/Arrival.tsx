import { useEffect, useRef, useState } from "react";
import { useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { ALL, useSession } from "./session";
import { titleOf } from "./titles";

/** What a browser does by itself when a page is opened, for going from view to view: title, scroll, focus, and saying where one is. */
export function Arrival() {
  const { navigation, gallery } = useSession();
  const place = useStore(navigation.place);
  const environments = useResource(gallery, ALL).value?.environments;
  const title = titleOf(place, environments?.find((each) => each.environmentId === place.environmentId)?.title);
  const key = [place.view, place.environmentId, place.name].join("|");
  const first = useRef(key);
  const [said, setSaid] = useState("");

  useEffect(() => {
    document.title = title === "" ? "TabRL" : `${title} · TabRL`;
  }, [title]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the place is what triggers it, not what it is called meanwhile
  useEffect(() => {
    if (first.current === key) return;
    first.current = "";
    // The old place's scroll position means nothing in the new one; and going back, the gallery finds its own.
    window.scrollTo(0, 0);
    document.getElementById("main")?.focus({ preventScroll: true });
    setSaid(title || "All robots");
  }, [key]);

  return (
    <p className="hidden-visually" role="status" aria-live="polite" data-testid="arrival">
      {said}
    </p>
  );
}
