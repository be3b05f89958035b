/** Long enough for the browser to begin reading what is saved. */
const KEPT_MS = 60_000;

/** Puts a file made in this tab into the downloads folder. */
export function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
