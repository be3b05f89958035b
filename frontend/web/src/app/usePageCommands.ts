import { useCommand } from "../stores/commands";
import { GALLERY } from "./location";
import { useSession } from "./session";

/** What is open above the page; empty for nothing. */
export type Window = "" | "palette" | "keys";

const GROUP = "Page";

/** What can be done wherever one is. */
export function usePageCommands(open: (which: Window) => void): void {
  const { navigation, health } = useSession();
  const find = { title: "Find anything", group: GROUP, onlyKey: true, run: () => open("palette") };
  useCommand({ ...find, id: "page.palette", shortcut: "Mod+k" });
  useCommand({ ...find, id: "page.find", shortcut: "/" });
  useCommand({
    id: "page.keys",
    title: "Show all keys",
    group: GROUP,
    keywords: ["help", "shortcuts", "keyboard"],
    shortcut: "?",
    run: () => open("keys"),
  });
  useCommand({
    id: "page.robots",
    title: "Choose another robot",
    group: GROUP,
    keywords: ["gallery", "home", "start", "upload"],
    run: () => navigation.go(GALLERY),
  });
  useCommand({
    id: "page.health",
    title: "Look for the services again",
    group: GROUP,
    keywords: ["reconnect", "connection", "health", "offline"],
    run: () => health.check(),
  });
}
