import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { createSession, SessionProvider } from "./app/session";
import { createClients, gatewayTransport } from "./rpc/clients";
import { createOutages } from "./rpc/outage";
import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html lacks #root");
const outages = createOutages();
createRoot(root).render(
  <SessionProvider value={createSession(createClients(gatewayTransport(outages)), { outages })}>
    <App />
  </SessionProvider>,
);
