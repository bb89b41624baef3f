/** LoRAs that are taken in a prompt: nodes put them on the model that it leads. */

import { freePlace } from "@/components/canvas/controller";
import { withRoom } from "@/components/canvas/makeRoom";
import { keepingSeen } from "@/components/canvas/staySeen";
import { t } from "@/i18n";
import { setInput } from "@/model/edits";
import { type LoraSource, loraTitle } from "@/model/promptCompletion";
import { type Applied, applyLora, takesLora } from "@/model/recipes";
import { nodesOf, type Scope } from "@/model/scope";
import type { NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import {
  activeDocument,
  currentScope,
  currentWorkflow,
  documentById,
  useDocuments,
} from "@/store/documents";
import { focusNode } from "@/store/focus";
import { dismissNotice, notify, useNotices } from "@/store/notices";
import type { Place } from "./parameters";

/** Whether a LoRA may be meant in a prompt of the graph that is shown. */
export function areLorasMeant(node: string): boolean {
  const { types } = useCatalogue.getState();
  const document = activeDocument();
  const [workflow, scope] = [currentWorkflow(document), currentScope(document)];
  return types !== null && takesLora({ workflow, scope, types }, node);
}

/**
 * Put a LoRA on the model that a prompt leads, and give the prompt its text, as one step to undo.
 *
 * @param selects Whether the nodes that load it are selected then.
 */
export function putLora({ node, port }: Place, lora: LoraSource, text: string, selects: boolean) {
  const { types } = useCatalogue.getState();
  if (types === null) return;
  const document = activeDocument();
  const scope = currentScope(document);
  const ground = { workflow: currentWorkflow(document), scope, types };
  const applied = applyLora(ground, node, lora.name, freePlace());
  const names = namesIn(applied);
  const label = applied.added.length > 0 ? t("widgets.lora.put", { name: loraTitle(lora) }) : null;
  const keepSeen = keepingSeen();
  useDocuments
    .getState()
    .change(
      label ?? "parameters.change",
      () => setInput(roomy(applied, ground), scope, node, port, text),
      { named: label !== null, select: selects ? names : undefined },
    );
  if (applied.added.length > 0) keepSeen([...names, node]);
  tell(applied, loraTitle(lora));
}

/** The workflow with the cards that stand in the way of what was added moved aside. */
function roomy({ workflow, added }: Applied, scene: { scope: Scope; types: NodeTypes }): Workflow {
  return added.reduce((found, { name, before, users }) => {
    const between = { source: before ?? "", target: users[0] ?? "" };
    return withRoom(found, { ...scene, workflow: found }, name, between);
  }, workflow);
}

function namesIn({ added, there }: Applied): readonly string[] {
  return [...added.map(({ name }) => name), ...there];
}

function tell(applied: Applied, name: string): void {
  const [first] = applied.added;
  const isLoose = first?.users.length === 0;
  const outcome = first === undefined ? "there" : isLoose ? "loose" : "added";
  const nodes = outcome === "there" ? applied.there : applied.added.map((each) => each.name);
  const users = new Set(applied.added.flatMap((each) => each.users));
  const [node] = nodes;
  const { id } = activeDocument();
  const scope = currentScope(activeDocument());
  const told = notify({
    kind: isLoose ? "warning" : "success",
    title: t(`widgets.lora.${outcome}`, { name }),
    detail: t(`widgets.lora.${outcome}Detail`, {
      names: nodes.join(", "),
      users: [...users].join(", "),
    }),
    action: node === undefined ? undefined : showing(node),
    key: "widgets.lora",
  });
  dismissUnless(told, () => {
    const document = documentById(id);
    const there = document && nodesOf(currentWorkflow(document), scope);
    return there !== null && nodes.every((each) => there.has(each));
  });
}

/** Take a notice away as soon as an edit, such as its undo, makes it untrue. */
function dismissUnless(notice: number, isTrue: () => boolean): void {
  const stop = useDocuments.subscribe(() => {
    const isShown = useNotices.getState().items.some(({ id }) => id === notice);
    if (isShown && isTrue()) return;
    stop();
    dismissNotice(notice);
  });
}

/** Shows a node, whatever graph is shown by then. */
function showing(node: string) {
  const { id, path } = activeDocument();
  return { label: t("running.show"), run: () => focusNode({ node, path, document: id }) };
}
