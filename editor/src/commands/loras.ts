/** LoRAs and textual inversions that are taken in a prompt: nodes load them for the model that it leads. */

import { freePlace } from "@/components/canvas/controller";
import { withRoom } from "@/components/canvas/placing/makeRoom";
import { keepingSeen } from "@/components/canvas/placing/staySeen";
import { t } from "@/i18n";
import { setInput } from "@/model/edits";
import { type EmbeddingSource, type LoraSource, loraTitle } from "@/model/promptCompletion";
import {
  type Applied,
  applyInversion,
  applyLora,
  type Ground,
  takesInversion,
  takesLora,
} from "@/model/recipes";
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
  const ground = shownGround();
  return ground !== null && takesLora(ground, node);
}

/** Whether a prompt's text encoder can be taught the word of a textual inversion. */
export function areWordsTaught(node: string): boolean {
  const ground = shownGround();
  return ground !== null && takesInversion(ground, node);
}

function shownGround(): Ground | null {
  const { types } = useCatalogue.getState();
  const document = activeDocument();
  const [workflow, scope] = [currentWorkflow(document), currentScope(document)];
  return types && { workflow, scope, types };
}

/**
 * Put a LoRA on the model that a prompt leads, and give the prompt its text, as one step to undo.
 *
 * @param selects Whether the nodes that load it are selected then.
 */
export function putLora({ node, port }: Place, lora: LoraSource, text: string, selects: boolean) {
  const ground = shownGround();
  if (ground === null) return;
  const applied = applyLora(ground, node, lora.name, freePlace());
  const name = loraTitle(lora);
  write({ node, port }, ground, { applied, label: t("widgets.lora.put", { name }), text, selects });
  tell(applied, name, "lora");
}

/** The same for a textual inversion, whose word the text encoder is taught. */
export function putInversion(
  { node, port }: Place,
  embedding: EmbeddingSource,
  text: string,
  selects: boolean,
) {
  const ground = shownGround();
  if (ground === null) return;
  const applied = applyInversion(ground, node, embedding, freePlace());
  const name = embedding.word;
  const label = t("widgets.inversion.put", { name });
  write({ node, port }, ground, { applied, label, text, selects });
  if (applied.added.length > 0) tell(applied, name, "inversion");
}

interface Written {
  readonly applied: Applied;
  /** Of the step to undo, where nodes were added. */
  readonly label: string;
  readonly text: string;
  readonly selects: boolean;
}

function write({ node, port }: Place, ground: Ground, { applied, label, text, selects }: Written) {
  const names = namesIn(applied);
  const isMore = applied.added.length > 0;
  const keepSeen = keepingSeen();
  useDocuments
    .getState()
    .change(
      isMore ? label : "parameters.change",
      () => setInput(roomy(applied, ground), ground.scope, node, port, text),
      { named: isMore, select: selects ? names : undefined },
    );
  if (isMore) keepSeen([...names, node]);
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

function tell(applied: Applied, name: string, what: "lora" | "inversion"): void {
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
    title: t(`widgets.${what}.${outcome}`, { name }),
    detail: t(`widgets.${what}.${outcome}Detail`, {
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
