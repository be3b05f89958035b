/** A random UUID (version 4) that makes a mutating call safe to repeat; works outside secure contexts too. */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Ids of requests of one kind, asked one after the other. */
export interface RequestIds {
  /** The id for what is asked, by a text that only the same request has: that of before where the last one was the same, and never came to its end. */
  idFor(asked: string): string;
  /** The last one came to its end; the same asked again is another request. */
  done(): void;
}

/** A call whose answer got lost may have been carried out all the same: asked again under the same id, it brings what was made then. */
export function createRequestIds(): RequestIds {
  let open: { readonly asked: string; readonly requestId: string } | undefined;
  return {
    idFor(asked) {
      if (open?.asked !== asked) open = { asked, requestId: newRequestId() };
      return open.requestId;
    },
    done() {
      open = undefined;
    },
  };
}
