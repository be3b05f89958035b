/**
 * A fetch whose requests reach the service also when the page is left at that moment: a browser breaks others off then, and what a person
 * deleted last would be there again. While the page stays they are ordinary ones, which may carry more.
 */
export function lastingFetch(page: Window): typeof fetch {
  let leaving = false;
  const leave = () => {
    leaving = true;
  };
  // Heard before whoever asks for something then.
  page.addEventListener("pagehide", leave, { capture: true });
  page.addEventListener("pageshow", () => {
    leaving = false;
  });
  return (input, init) => page.fetch(input, leaving ? { ...init, keepalive: true } : init);
}
