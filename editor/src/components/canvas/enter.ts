/** Going into blocks. */
import { t } from "@/i18n";
import { nodesOf } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow, useDocuments } from "@/store/documents";
import { rememberEntered } from "@/store/entered";
import { notify } from "@/store/notices";
import { blockOf } from "@/store/places";

/** The subgraph that a node is, or runs. */
export function blockOfNode(workflow: Workflow, scope: string | null, name: string): string | null {
  const entry = nodesOf(workflow, scope).get(name);
  return entry ? blockOf(workflow, useCatalogue.getState().types, entry) : null;
}

/** Show the inside of a node's block; false if it has none. */
export function enterBlock(name: string): boolean {
  const document = activeDocument();
  const block = blockOfNode(currentWorkflow(document), currentScope(document), name);
  if (block === null) return false;
  if (document.path.includes(block)) {
    notify({ kind: "info", title: t("canvas.block.inside", { block }) });
    return false;
  }
  rememberEntered(document.id, [...document.path, block], name);
  useDocuments.getState().enter(block);
  return true;
}
