/** Reads something off one of MuJoCo's accessors, such as `model.joint(2)`, which takes memory until it is deleted. */
export function readOff<Accessor extends { delete(): void }, T>(accessor: Accessor, read: (from: Accessor) => T): T {
  try {
    return read(accessor);
  } finally {
    accessor.delete();
  }
}
