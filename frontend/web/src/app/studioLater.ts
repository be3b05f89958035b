import { loadLater } from "./loadLater";

/** The studio, in a file of its own. */
export const { Component: Studio, prefetch: prefetchStudio } = loadLater(
  async () => (await import("../studio/Studio")).Studio,
);
