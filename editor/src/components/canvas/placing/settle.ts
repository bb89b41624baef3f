/** Giving nodes of a file without a layout their places: no edit of the person's, so no undo step. */
import type { Workflow } from "@/model/workflow";
import { currentWorkflow, useDocuments } from "@/store/documents";

/** Put a workflow in the place of the current one that differs in its layout only. */
export function settle(document: string, from: Workflow, to: Workflow): void {
  useDocuments.setState(({ documents }) => ({
    documents: documents.map((item) => {
      if (item.id !== document || currentWorkflow(item) !== from) return item;
      const { history } = item;
      const entry = history.entries.get(history.current);
      if (!entry) return item;
      const entries = new Map(history.entries).set(entry.id, { ...entry, value: to });
      return { ...item, history: { ...history, entries } };
    }),
  }));
}
