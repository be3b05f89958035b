import type { MainModule } from "@mujoco/mujoco";
import { rotateBack, type Vector, vectorAt } from "./forces";
import type { Simulation } from "./simulation";

/** More than these would be a hedgehog. */
const mostContacts = 64;
const width = 6;

/** The strongest contacts, six numbers each: where, and the force on the second geom, in the world, in newtons. */
export function readContacts(module: MainModule, { model, data }: Simulation): Float32Array<ArrayBuffer> {
  const found: { readonly place: Vector; readonly force: Vector; readonly newtons: number }[] = [];
  const wrench = new module.DoubleBuffer(width);
  const contacts = data.contact;
  try {
    for (let i = 0; i < data.ncon; i += 1) {
      const contact = contacts.get(i);
      if (!contact) continue;
      if (contact.efc_address >= 0) {
        module.mj_contactForce(model, data, i, wrench);
        const inContact = vectorAt(wrench.GetView() as Float64Array, 0);
        // The rows of a contact's frame are its axes, of which the first is the normal.
        const force = rotateBack(contact.frame, 0, inContact);
        found.push({ place: vectorAt(contact.pos, 0), force, newtons: Math.hypot(...force) });
      }
      contact.delete();
    }
  } finally {
    wrench.delete();
    contacts.delete();
  }
  const strongest = found.sort((a, b) => b.newtons - a.newtons).slice(0, mostContacts);
  const written = new Float32Array(width * strongest.length);
  strongest.forEach(({ place, force }, i) => {
    written.set([...place, ...force], width * i);
  });
  return written;
}
