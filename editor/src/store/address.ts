/** The page's address and its view: `/generate` for those who want no graph, `/` for the graph. */
import { rootPath } from "@/api/rootPath";
import { readOfWindow, readStored, writeOfWindow, writeStored } from "./persisted";
import { useSettings } from "./settings";
import { useUi, type View } from "./ui";

const KEY = "nodegraph.view";
const GENERATE = "/generate";

function isGenerateAddress(): boolean {
  return location.pathname === rootPath() + GENERATE;
}

/** What `/` opens: what was chosen here, what was used last, or what the server says. */
function startPage(): unknown {
  const { startPage: chosen } = useSettings.getState();
  if (chosen !== "last") return chosen;
  return readStored(KEY) ?? serverStartPage();
}

function serverStartPage(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="start-page"]')?.content ?? "editor";
}

/** Show what the address says, and keep the two alike; once for a page. */
export function followAddress(): void {
  const isKept = startPage() === "generate" && location.hash === "";
  const isGenerate = isGenerateAddress();
  if (isGenerate || isKept) useUi.getState().setView("generate");
  // Who painted when the page was loaded anew goes on; a link opens what it holds as a graph.
  else if (location.hash === "" && readOfWindow(KEY) === "canvas")
    useUi.getState().setView("canvas");
  if (isKept && !isGenerate) history.replaceState(null, "", rootPath() + GENERATE);
  useUi.subscribe(({ view }, before) => {
    if (view !== before.view) show(view);
  });
  addEventListener("popstate", () => {
    const { view, setView } = useUi.getState();
    if (isGenerateAddress()) setView("generate");
    else if (view === "generate") setView("graph");
  });
}

function show(view: View): void {
  const isGenerate = view === "generate";
  writeOfWindow(KEY, view);
  // What was used last is what is opened next.
  writeStored(KEY, isGenerate ? "generate" : "graph");
  if (isGenerate === isGenerateAddress()) return;
  history.pushState(null, "", isGenerate ? rootPath() + GENERATE : `${rootPath()}/`);
}
