import { Suspense, useState } from "react";
import { loadLater } from "../loadLater";
import { TypedMeanwhile } from "./TypedMeanwhile";

const { Component: Palette, prefetch } = loadLater(async () => (await import("./Palette")).Palette);

/** Fetches the palette before it is needed. */
export const prefetchPalette = prefetch;

/** The palette as soon as it is there, with what was typed until then. */
export function PaletteWindow({ onClose }: { readonly onClose: () => void }) {
  const [typed, setTyped] = useState("");
  return (
    <>
      <TypedMeanwhile onType={setTyped} onClose={onClose} />
      <Suspense>
        <Palette search={typed} onSearch={setTyped} onClose={onClose} />
      </Suspense>
    </>
  );
}
