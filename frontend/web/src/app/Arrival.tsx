import { useEffect, useRef, useState } from "react";
import { ALL, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { useSession } from "./session";
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

  const scrolled = useRef(new Map<string, number>());
  const returning = useRef(false);
  useEffect(() => {
    const remember = () => scrolled.current.set(window.location.search, window.scrollY);
    const goBack = () => {
      returning.current = true;
    };
    window.addEventListener("scroll", remember, { passive: true });
    // Before the navigation hears of it.
    window.addEventListener("popstate", goBack, { capture: true });
    return () => {
      window.removeEventListener("scroll", remember);
      window.removeEventListener("popstate", goBack, { capture: true });
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the place is what triggers it, not what it is called meanwhile
  useEffect(() => {
    if (first.current === key) return;
    first.current = "";
    // Going back leads to where one was; the old place's scroll position means nothing in a new one.
    window.scrollTo(0, returning.current ? (scrolled.current.get(window.location.search) ?? 0) : 0);
    returning.current = false;
    document.getElementById("main")?.focus({ preventScroll: true });
    setSaid(title || "All robots");
  }, [key]);

  // Going back within a robot's studio leads to no other scroll position, nor does what follows.
  // biome-ignore lint/correctness/useExhaustiveDependencies: each place is what triggers it
  useEffect(() => {
    returning.current = false;
  }, [place]);

  return (
    <p className="hidden-visually" role="status" aria-live="polite" data-testid="arrival">
      {said}
    </p>
  );
}
