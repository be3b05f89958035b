/** Element types that a controller's graph takes and gives. */
export type Dtype = "float32" | "int32" | "uint32" | "bool";

export type Numbers = Float32Array | Int32Array | Uint32Array | Uint8Array;

export interface Tensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Elements in row-major order; truth values are 0 or 1. */
  readonly values: Numbers;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, length) => count * length, 1);
}

/** Copies numbers into a new array of the type. */
export function numbersOf(dtype: Dtype, values: ArrayLike<number>): Numbers {
  switch (dtype) {
    case "float32":
      return Float32Array.from(values);
    case "int32":
      return Int32Array.from(values);
    case "uint32":
      return Uint32Array.from(values);
    case "bool":
      return Uint8Array.from(values, (value) => (value ? 1 : 0));
  }
}
