/** A worker that was started ahead and that nobody has taken for so long is let go. */
const keptMs = 30_000;

let spare: Worker | undefined;
let letGo: ReturnType<typeof setTimeout> | undefined;

/**
 * Starts the player before anybody has asked for it: its script, and a worker that compiles MuJoCo meanwhile. Costs nothing where
 * one is waiting already. This file is part of the first script, so it knows nothing of the rest of the player.
 */
export function preparePlayer(): void {
  if (typeof Worker === "undefined") return;
  import("./index").catch(() => undefined);
  clearTimeout(letGo);
  letGo = setTimeout(forget, keptMs);
  if (spare) return;
  const worker = startWorker();
  spare = worker;
  // One whose script did not load is of no use; whoever needs it starts another and hears why.
  worker.addEventListener("error", (event) => {
    if (spare !== worker) return;
    event.preventDefault();
    forget();
  });
}

/** The player's worker: the one that was started ahead, or else a new one. */
export function playerWorker(): Worker {
  const worker = spare ?? startWorker();
  spare = undefined;
  clearTimeout(letGo);
  return worker;
}

function forget(): void {
  spare?.terminate();
  spare = undefined;
}

function startWorker(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "tabrl-player" });
}
