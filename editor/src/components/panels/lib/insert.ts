/** Adding a node, linked to the loose end of a link where there is one. */
import { t } from "@/i18n";
import { addNode, connect, retype } from "@/model/edits";
import type { Point } from "@/model/layout";
import type { Link } from "@/model/links";
import { nodesOf, type Scope } from "@/model/scope";
import { usedPort } from "@/model/search";
import { type NodeSpec, type NodeTypes, typeOf } from "@/model/spec";
import type { UsedPort } from "@/model/usage";
import type { Workflow } from "@/model/workflow";
import { modelFamilies, useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow, useDocuments } from "@/store/documents";
import type { LooseEnd } from "@/store/ui";
import { rememberType } from "./recents";

/** The port that a loose end comes from, as counts of use know it. */
export function usedEnd(types: NodeTypes, loose: LooseEnd): UsedPort {
  const document = activeDocument();
  return usedPort(types, currentWorkflow(document), currentScope(document), loose, modelFamilies());
}

/** A link as files write it: without the port of a node that has just one. */
function short(from: Link, spec: NodeSpec | null): Link {
  const [only, ...others] = spec?.outputs ?? [];
  return only?.name === from.port && others.length === 0 ? { ...from, port: "" } : from;
}

function specOf(workflow: Workflow, scope: Scope, node: string): NodeSpec | null {
  const { types } = useCatalogue.getState();
  const entry = nodesOf(workflow, scope).get(node);
  return entry && types ? typeOf(types, workflow, entry) : null;
}

/** Add a node as one undo step and select it; gives its name. */
export function insertNode(
  spec: NodeSpec,
  at: Point,
  link: { readonly loose: LooseEnd; readonly port: string } | null,
): string {
  const document = activeDocument();
  const scope = currentScope(document);
  const added = addNode(currentWorkflow(document), scope, { type: spec.type, at });
  const { name } = added;
  let { workflow } = added;
  if (link !== null) {
    const { from, side } = link.loose;
    const inner = { node: name, port: link.port };
    workflow =
      side === "output"
        ? connect(workflow, scope, short(from, specOf(workflow, scope, from.node)), inner)
        : connect(workflow, scope, short(inner, spec), from);
  }
  tellInserted(spec, workflow, name);
  return name;
}

/** Give a node of the graph that is shown another type, as one undo step. */
export function replaceNode(node: string, spec: NodeSpec, types: NodeTypes): void {
  const scope = currentScope(activeDocument());
  const label = t("panels.edit.replace", { label: spec.label || spec.type });
  useDocuments
    .getState()
    .change(label, (workflow) => retype(workflow, scope, node, spec, types), { select: [node] });
  rememberType(spec.type);
}

/** Write the workflow with a new node in it as one undo step, and select the node. */
export function tellInserted(spec: NodeSpec, workflow: Workflow, name: string): void {
  const label = t("panels.edit.add", { label: spec.label || spec.type });
  useDocuments.getState().change(label, () => workflow, { select: [name] });
  rememberType(spec.type);
}
