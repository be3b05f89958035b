import { createRoot } from "react-dom/client";
import "../styles/fonts.css";
import "../styles/tokens.css";
import "../styles/base.css";
import "./page.css";
import { CommandsProvider, createCommands } from "../stores/commands";
import { SharePage } from "./SharePage";
import { loadSharedPolicy } from "./sharedPolicy";

const root = document.getElementById("root");
if (!root) throw new Error("index.html lacks #root");
const folder = new URL(".", document.baseURI).href;
createRoot(root).render(
  <CommandsProvider value={createCommands()}>
    <SharePage loading={loadSharedPolicy(folder)} />
  </CommandsProvider>,
);
