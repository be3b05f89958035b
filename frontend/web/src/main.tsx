import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { headStart, showsRobot } from "./app/headStart";
import { createSession, SessionProvider } from "./app/session";
import { createClients, gatewayTransport } from "./rpc/clients";
import { createOutages } from "./rpc/outage";
import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html lacks #root");
const outages = createOutages();
const session = createSession(createClients(gatewayTransport(outages)), { outages });
const place = session.navigation.place.get();
if (showsRobot(place)) headStart(session, place.environmentId);
createRoot(root).render(
  <SessionProvider value={session}>
    <App />
  </SessionProvider>,
);
