import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { startEditor } from "./start";
import "./theme/tokens.css";
import "./theme/base.css";
import "./theme/samples.css";

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no place for the editor");
const page = createRoot(root);
void startEditor().then(() =>
  page.render(
    <StrictMode>
      <App />
    </StrictMode>,
  ),
);
