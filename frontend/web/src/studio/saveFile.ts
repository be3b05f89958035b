/** Has the browser save a file under a name. */
export function saveFile(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click has returned.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A file name of what is shown, such as `walkerwalk-its-own-task-3m-steps.webm`. */
export function fileNameOf(parts: readonly string[], extension: string): string {
  const words = parts
    .join(" ")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "");
  return `${words.slice(0, 80).replace(/-+$/, "") || "robot"}.${extension}`;
}
