import { useEffect, useRef } from "react";
import { GALLERY, isGallery } from "../app/location";
import { useSession } from "../app/session";
import { useCommand } from "../stores/commands";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { ArrowIcon, CloseIcon } from "../ui/icons";
import { STEPS, stepAfter } from "./steps";
import styles from "./Tour.module.css";
import { useAnchor } from "./useAnchor";
import { useSeen } from "./useSeen";

/** The guided run: an offer at the first visit, then a mark at each part of the page that is to be used next. It covers nothing and can be left at any time. */
export function Tour() {
  const { tour } = useSession();
  const state = useStore(tour.state);
  const start = useStartTour();
  useCommand({
    id: "page.tour",
    title: "Guided run: train a robot in a minute",
    group: "Page",
    keywords: ["help", "tour", "start", "introduction", "learn"],
    run: start,
  });

  if (typeof state === "object") return <Guide index={state.step} />;
  if (state === "done") {
    return (
      <section className={styles.done} aria-label="Guided run" data-testid="tour-done">
        <div role="status">
          <h2>That was all of it</h2>
          <p>A behaviour in words, a reward, a policy that learned it. Try another behaviour, or another robot.</p>
        </div>
        <Button variant="primary" size="small" onClick={tour.leave}>
          Go on by yourself
        </Button>
      </section>
    );
  }
  return null;
}

/** Starts it where its first robot is, whatever the gallery was narrowed to. */
function useStartTour(): () => void {
  const { tour, navigation } = useSession();
  return () => {
    navigation.go(GALLERY);
    tour.start();
  };
}

/** The offer itself, in its place among the first words of the gallery. */
export function TourOffer() {
  const { tour } = useSession();
  const start = useStartTour();
  if (useStore(tour.state) !== "offered") return null;
  return (
    <section className={styles.offer} aria-label="Guided run" data-testid="tour-offer">
      <div>
        <h2>First time here?</h2>
        <p>Train the smallest robot in about a minute; marks on the page show what to press.</p>
      </div>
      <div className={styles.actions}>
        <Button variant="primary" size="small" onClick={start} data-testid="tour-start">
          Show me <ArrowIcon />
        </Button>
        <Button variant="quiet" size="small" onClick={tour.leave} data-testid="tour-decline">
          No, thank you
        </Button>
      </div>
    </section>
  );
}

function Guide({ index }: { readonly index: number }) {
  const { tour, navigation } = useSession();
  const seen = useSeen();
  const next = stepAfter(index, seen);
  const step = STEPS[index];
  const place = useStore(navigation.place);
  const strayed = place.view !== "" || (index > 0 && isGallery(place));
  const lastPlace = useRef(GALLERY);
  const anchor = useAnchor(step?.anchors ?? [], index);

  useEffect(() => {
    if (next !== index) tour.advance(next, STEPS.length);
  }, [tour, next, index]);

  useEffect(() => {
    if (!strayed) lastPlace.current = place;
  }, [strayed, place]);

  // What was pulled before this step does not count.
  useEffect(() => {
    if (step?.id === "pull") tour.pulled.set(false);
  }, [tour, step]);

  if (!step) return null;
  return (
    <>
      {anchor && !strayed && <div className={styles.ring} style={anchor.ring} aria-hidden="true" />}
      <section
        className={styles.mark}
        style={anchor && !strayed ? anchor.card : undefined}
        aria-label="Guided run"
        data-testid="tour-step"
        data-step={step.id}
      >
        <div role="status" aria-live="polite">
          <p className={styles.count}>
            Step {index + 1} of {STEPS.length}
          </p>
          <h2>{step.title}</h2>
          <p>{strayed ? "That is done elsewhere; look around as long as you like." : step.text}</p>
        </div>
        <Button
          variant="quiet"
          size="small"
          icon={<CloseIcon />}
          aria-label="Leave the guided run"
          title="Leave the guided run"
          onClick={tour.leave}
          data-testid="tour-leave"
        />
        {strayed && (
          <Button size="small" className={styles.back} onClick={() => navigation.go(lastPlace.current)}>
            Go on with the guided run
          </Button>
        )}
      </section>
    </>
  );
}
