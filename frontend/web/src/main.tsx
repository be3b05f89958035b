import { createRoot } from "react-dom/client";

const root = document.getElementById("root");
if (!root) throw new Error("index.html lacks #root");
createRoot(root).render(<p>TabRL</p>);
