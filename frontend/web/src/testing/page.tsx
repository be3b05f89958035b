import { cleanup, configure, render } from "@testing-library/react";
import { vi } from "vitest";
import { App } from "../app/App";
import { createSession, type Session, SessionProvider, type Surroundings } from "../app/session";
import { createClients } from "../rpc/clients";
import type { Backend } from "./backend";
import { PATIENCE_MS } from "./eventually";

configure({ asyncUtilTimeout: PATIENCE_MS });

let opened: Session | undefined;

/** Lays out what jsdom lacks and the page looks for. */
export function preparePage(): void {
  sessionStorage.clear();
  vi.stubGlobal("scrollTo", () => undefined);
  vi.stubGlobal("matchMedia", () => ({
    matches: false,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  }));
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
  // All of the page is in view.
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      constructor(private readonly told: IntersectionObserverCallback) {}
      observe() {
        this.told([{ isIntersecting: true } as IntersectionObserverEntry], this as unknown as IntersectionObserver);
      }
      disconnect() {}
    },
  );
  Element.prototype.scrollIntoView = () => undefined;
  Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.open = true;
  };
}

/** Opens the page at an address, in front of an in-memory backend. */
export function openPage(backend: Backend, href: string, surroundings: Surroundings = {}): void {
  window.history.replaceState(null, "", href);
  opened = createSession(createClients(backend.transport), {
    fetchHealth: async () => Response.json({ services: {} }),
    ...surroundings,
  });
  render(
    <SessionProvider value={opened}>
      <App />
    </SessionProvider>,
  );
}

/** Closes the page and all that runs behind it. */
export function closePage(): void {
  opened?.runs.stop();
  opened?.health.stop();
  opened = undefined;
  cleanup();
  vi.unstubAllGlobals();
}
