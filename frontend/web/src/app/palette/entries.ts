import type { Place } from "../location";

/** A line of the palette: a place to go to, or something to do. */
export interface Entry {
  readonly id: string;
  readonly title: string;
  /** What it is, beside the title. */
  readonly about: string;
  readonly keywords: readonly string[];
  readonly shortcut?: string;
  readonly to?: Partial<Place>;
  readonly run?: () => void;
}

export interface EntryGroup {
  readonly heading: string;
  readonly entries: readonly Entry[];
}

/** How well a line fits what was typed, from 0 (not at all) to 1: every word is to be found, best as a word of the title, then at its start. */
export function matchOf(title: string, keywords: readonly string[], search: string): number {
  const name = title.toLowerCase();
  const rest = keywords.join(" ").toLowerCase();
  let sum = 0;
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  for (const word of words) {
    const fit = fitOf(word, name, rest);
    if (fit === 0) return 0;
    sum += fit;
  }
  return words.length === 0 ? 1 : sum / words.length;
}

function fitOf(word: string, name: string, rest: string): number {
  const begins = `(^|[^a-z0-9])${escaped(word)}`;
  if (new RegExp(`${begins}($|[^a-z0-9])`).test(name)) return 1;
  if (name.startsWith(word)) return 0.9;
  if (new RegExp(begins).test(name)) return 0.8;
  if (name.includes(word)) return 0.5;
  return rest.includes(word) ? 0.3 : 0;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
