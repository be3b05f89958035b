/** Values of several numbers each, one after another: positions, normals, texture coordinates. */
export interface Column {
  readonly values: Float32Array;
  /** Numbers in one value. */
  readonly width: number;
  /** Which value each row has; without it, row i has value i. */
  readonly rows?: ArrayLike<number> | undefined;
}

/** Rows with all that is equal said once. */
export interface Welded {
  /** For each row, the number of its value among the distinct ones. */
  readonly numbers: Uint32Array<ArrayBuffer>;
  /** For each distinct value, the first row that has it. */
  readonly firsts: Uint32Array<ArrayBuffer>;
}

/** Finds rows that are equal to the last bit in all columns. */
export function weld(rows: number, columns: readonly Column[]): Welded {
  const bits = columns.map(({ values, width, rows: at }) => ({
    words: new Uint32Array(values.buffer, values.byteOffset, values.length),
    width,
    at,
  }));
  const slots = tableSize(rows);
  const table = new Uint32Array(slots);
  const numbers = new Uint32Array(rows);
  const firsts = new Uint32Array(rows);
  let distinct = 0;
  const equal = (a: number, b: number): boolean =>
    bits.every(({ words, width, at }) => {
      const [from, to] = [width * (at?.[a] ?? a), width * (at?.[b] ?? b)];
      for (let k = 0; k < width; k += 1) if (words[from + k] !== words[to + k]) return false;
      return true;
    });
  for (let row = 0; row < rows; row += 1) {
    let hash = 0x811c9dc5;
    for (const { words, width, at } of bits) {
      const from = width * (at?.[row] ?? row);
      for (let k = 0; k < width; k += 1) hash = Math.imul(hash ^ (words[from + k] ?? 0), 0x01000193) ^ (hash >>> 15);
    }
    // A slot holds the number of a distinct value plus one; 0 is free.
    let slot = (hash ^ (hash >>> 13)) & (slots - 1);
    let held = table[slot] ?? 0;
    while (held !== 0 && !equal(firsts[held - 1] ?? 0, row)) {
      slot = (slot + 1) & (slots - 1);
      held = table[slot] ?? 0;
    }
    if (held === 0) {
      firsts[distinct] = row;
      distinct += 1;
      held = distinct;
      table[slot] = held;
    }
    numbers[row] = held - 1;
  }
  return { numbers, firsts: firsts.slice(0, distinct) };
}

/** The values of a column at some of its rows. */
export function gather({ values, width, rows }: Column, wanted: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const gathered = new Float32Array(width * wanted.length);
  for (let i = 0; i < wanted.length; i += 1) {
    const row = wanted[i] ?? 0;
    const from = width * (rows?.[row] ?? row);
    for (let k = 0; k < width; k += 1) gathered[width * i + k] = values[from + k] ?? 0;
  }
  return gathered;
}

/** Numbers the vertices that some faces need from 0 on, and says which those are. */
export function compactRows(
  indices: ArrayLike<number>,
  vertices: number,
): { readonly numbers: Uint32Array<ArrayBuffer>; readonly wanted: readonly number[] } {
  const renumbered = new Int32Array(vertices).fill(-1);
  const wanted: number[] = [];
  const numbers = Uint32Array.from(indices, (vertex) => {
    if (renumbered[vertex] === -1) renumbered[vertex] = wanted.push(vertex) - 1;
    return renumbered[vertex] ?? 0;
  });
  return { numbers, wanted };
}

/** A power of two that leaves half of the table free. */
function tableSize(rows: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, 2 * rows)));
}
