/** What commands work on: the active document's graph, and what is selected of it. */
import { t } from "@/i18n";
import { EditFault } from "@/model/fault";
import { nodeNames } from "@/model/items";
import { nodesOf, type Scope } from "@/model/scope";
import type { NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow, useDocuments } from "@/store/documents";
import { notify } from "@/store/notices";

export interface Selected {
  readonly workflow: Workflow;
  readonly scope: Scope;
  /** Ids of items, see model/items.ts. */
  readonly items: readonly string[];
  /** The nodes among them. */
  readonly nodes: readonly string[];
}

/** The items that a command was given (an id, or several), else the selected ones. */
export function selected(context?: unknown): Selected {
  const document = activeDocument();
  const [workflow, scope] = [currentWorkflow(document), currentScope(document)];
  const items = given(context) ?? [...document.selection];
  const there = nodesOf(workflow, scope);
  return { workflow, scope, items, nodes: nodeNames(items).filter((name) => there.has(name)) };
}

function given(context: unknown): readonly string[] | null {
  if (typeof context === "string") return [context];
  const isMany = Array.isArray(context) || context instanceof Set;
  if (!isMany) return null;
  const items: unknown[] = [...context];
  return items.filter((item): item is string => typeof item === "string");
}

/** A change of the graph that is shown; what can't be done is told. */
export function change(
  label: string,
  edit: (workflow: Workflow, scope: Scope) => { workflow: Workflow; items?: readonly string[] },
): void {
  const scope = currentScope(activeDocument());
  let select: readonly string[] | undefined;
  try {
    const edited = edit(currentWorkflow(activeDocument()), scope);
    select = edited.items;
    useDocuments.getState().change(label, () => edited.workflow, { select });
  } catch (fault) {
    if (!(fault instanceof EditFault)) throw fault;
    tellFault(fault);
  }
}

export function tellFault(fault: EditFault): void {
  notify({
    kind: "warning",
    title: t("editing.fault"),
    detail: t(`editing.fault.${fault.code}`, { names: fault.names.join(", ") }),
    key: "editing.fault",
  });
}

export function nodeTypes(): NodeTypes | null {
  return useCatalogue.getState().types;
}
