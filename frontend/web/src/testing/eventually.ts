import { vi } from "vitest";

/** How long a test waits for what must come, in milliseconds: long enough for the busiest machine, and never waited out in vain. */
export const PATIENCE_MS = 20_000;

/** Waits until the assertions hold. */
export function eventually(assertions: () => void): Promise<void> {
  return vi.waitFor(assertions, { timeout: PATIENCE_MS, interval: 5 });
}
