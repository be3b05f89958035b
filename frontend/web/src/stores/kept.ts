/** What a browser keeps for this page, read and written without ever failing: private windows and full disks refuse. */
export interface Kept {
  read(key: string): string;
  /** Keeps a text; an empty one is forgotten. */
  write(key: string, text: string): void;
}

function kept(storage: () => Storage): Kept {
  return {
    read(key) {
      try {
        return storage().getItem(key) ?? "";
      } catch {
        return "";
      }
    },
    write(key, text) {
      try {
        if (text) storage().setItem(key, text);
        else storage().removeItem(key);
      } catch {
        // What cannot be kept is asked for again at the next visit.
      }
    },
  };
}

/** Kept until the browser's data are cleared. */
export const keptForGood = kept(() => window.localStorage);
/** Kept as long as the tab is open, also over a reload. */
export const keptInTab = kept(() => window.sessionStorage);
