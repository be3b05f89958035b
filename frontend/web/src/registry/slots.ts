/** The two places for versions that are held against each other. */
export type Slot = "A" | "B";

/** Number of the version in each slot; 0 where it is empty. */
export type Slots = Readonly<Record<Slot, number>>;

export const EMPTY: Slots = { A: 0, B: 0 };

export function slotOf(slots: Slots, number: number): Slot | "" {
  return slots.A === number ? "A" : slots.B === number ? "B" : "";
}

/** A version takes a slot, or leaves the one that it is in; where it was in the other one, the two change places. */
export function withSlot(before: Slots, slot: Slot, number: number): Slots {
  if (before[slot] === number) return { ...before, [slot]: 0 };
  const other = slot === "A" ? "B" : "A";
  const moved = { ...before, [slot]: number };
  return before[other] === number ? { ...moved, [other]: before[slot] } : moved;
}

/** Key of the deletion of a version. */
export function versionKey(name: string, number: number): string {
  return `${name}@${number}`;
}
