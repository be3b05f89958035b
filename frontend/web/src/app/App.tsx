import { Suspense, useCallback, useEffect, useState } from "react";
import { Gallery } from "../gallery/Gallery";
import type { Failure } from "../rpc/failure";
import { Tour } from "../tour/Tour";
import { Boundary } from "../ui/Boundary";
import { FailureNotice } from "../ui/Notice";
import styles from "./App.module.css";
import { Arrival } from "./Arrival";
import { Header } from "./Header";
import { useKeys } from "./keys";
import { Link } from "./Link";
import { loadLater, whenIdle } from "./loadLater";
import { GALLERY } from "./location";
import { PaletteWindow, prefetchPalette } from "./palette/PaletteWindow";
import { prefetchStudio, Studio } from "./studioLater";
import { useThemeCommands } from "./ThemeMenu";
import { UndoToast } from "./UndoToast";
import { usePageCommands, type Window } from "./usePageCommands";
import { useSettledPlace } from "./useSettledPlace";

const { Component: RegistryView } = loadLater(async () => (await import("../registry/RegistryView")).RegistryView);
const { Component: CompareView } = loadLater(async () => (await import("../compare/CompareView")).CompareView);
const { Component: History } = loadLater(async () => (await import("../history/History")).History);
const { Component: KeySheet } = loadLater(async () => (await import("./palette/KeySheet")).KeySheet);

/** The page: the gallery, the studio of the environment that the URL names, registered policies, policies side by side, or earlier work. */
export function App() {
  const { place, failure } = useSettledPlace();
  const [open, setOpen] = useState<Window>("");
  const inStudio = Boolean(place.environmentId || place.runId || place.policyId || place.rewardId);
  const close = useCallback(() => setOpen(""), []);

  useKeys();
  usePageCommands(setOpen);
  useThemeCommands();
  useEffect(
    () =>
      whenIdle(() => {
        prefetchStudio();
        prefetchPalette();
      }),
    [],
  );

  return (
    <div className={styles.page}>
      <a className={styles.skip} href="#main">
        Skip to content
      </a>
      <Header onFind={() => setOpen("palette")} />
      <main id="main" className={styles.main} tabIndex={-1}>
        <Boundary key={`${place.view} ${place.environmentId}`} what="This page">
          <Suspense fallback={<div className={styles.waiting} />}>
            {place.view === "policies" ? (
              <RegistryView name={place.name} />
            ) : place.view === "compare" ? (
              <CompareView policyIds={place.compared.split(",").filter(Boolean)} />
            ) : place.view === "work" ? (
              <History />
            ) : place.environmentId ? (
              <Studio key={place.environmentId} environmentId={place.environmentId} />
            ) : inStudio ? (
              <Lookup failure={failure} />
            ) : (
              <Gallery />
            )}
          </Suspense>
        </Boundary>
      </main>
      <Arrival />
      <Tour />
      <UndoToast />
      {open && (
        <Boundary what="This window">
          {open === "palette" ? (
            <PaletteWindow onClose={close} />
          ) : (
            <Suspense>
              <KeySheet onClose={close} />
            </Suspense>
          )}
        </Boundary>
      )}
    </div>
  );
}

/** While it is looked up whose environment a link without one means; says so when there is no such run, policy or reward. */
function Lookup({ failure }: { readonly failure: Failure | undefined }) {
  return (
    <div className={styles.waiting}>
      {failure && (
        <div className={styles.lookup}>
          <FailureNotice failure={failure} />
          <nav className={styles.ways} aria-label="Ways on">
            <Link to={GALLERY}>All robots</Link>
            <Link to={{ view: "work" }}>Your work</Link>
          </nav>
        </div>
      )}
    </div>
  );
}
