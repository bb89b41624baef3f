import { expect, it } from "vitest";
import { workflow } from "@/components/canvas/fixture";
import { canUndo } from "@/model/history";
import { changeLayout } from "@/model/layout";
import type { Workflow } from "@/model/workflow";
import { activeDocument, currentWorkflow, isDirty, useDocuments } from "@/store/documents";
import { settle } from "./settle";

function placed(of: Workflow): Workflow {
  return changeLayout(of, null, (layout) => ({
    ...layout,
    positions: new Map([...of.nodes.keys()].map((name, index) => [name, { x: 300 * index, y: 0 }])),
  }));
}

it("places that a file lacked are no change and no step, and stay when one is undone", () => {
  const documents = useDocuments.getState();
  const id = documents.open(workflow());
  const given = currentWorkflow(activeDocument());
  const drawn = placed(given);
  settle(id, given, drawn);
  expect(currentWorkflow(activeDocument())).toBe(drawn);
  expect(isDirty(activeDocument())).toBe(false);
  expect(canUndo(activeDocument().history)).toBe(false);
  documents.change("Title", (before) => ({ ...before, title: "Other" }));
  documents.undo();
  documents.undo();
  expect(currentWorkflow(activeDocument())).toBe(drawn);
  expect(isDirty(activeDocument())).toBe(false);
});

it("places of a workflow that has changed meanwhile are passed over", () => {
  const id = useDocuments.getState().open(workflow());
  const given = currentWorkflow(activeDocument());
  useDocuments.getState().change("Title", (before) => ({ ...before, title: "Other" }));
  settle(id, given, placed(given));
  expect(currentWorkflow(activeDocument()).title).toBe("Other");
});
