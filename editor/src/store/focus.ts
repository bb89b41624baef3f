/** Bring a node into view: its tab, the graph that it is in, and the canvas around it. */
import { activeDocument, useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";

export interface FocusTarget {
  readonly node: string;
  readonly port?: string | null;
  /** Subgraphs to enter, outermost first; the graph that is shown if left out. */
  readonly path?: readonly string[];
  /** The active document if left out. */
  readonly document?: string | null;
}

/** Show the node and select it; nothing happens if its document isn't open any more. */
export function focusNode(target: FocusTarget): void {
  const documents = useDocuments.getState();
  const id = target.document ?? documents.active;
  if (!documents.documents.some((document) => document.id === id)) return;
  if (id !== documents.active) documents.activate(id);
  const ui = useUi.getState();
  if (ui.view !== "graph") ui.setView("graph");
  const path = target.path ?? activeDocument().path;
  ui.requestFocus({ document: id, path, node: target.node, port: target.port ?? null });
}
