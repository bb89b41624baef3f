/** Models of the library put into the graph that is shown: into a loader that is there, or a new one. */
import { freePlace } from "@/components/canvas/controller";
import { keepingSeen } from "@/components/canvas/placing/staySeen";
import { t } from "@/i18n";
import { setInput } from "@/model/edits";
import { nodeNames } from "@/model/items";
import type { Point } from "@/model/layout";
import { isLink, literalOf, type Target } from "@/model/links";
import {
  addLoader,
  chooseModel,
  type LibraryModel,
  modelInput,
  modelTitle,
  onlyLoader,
} from "@/model/models";
import { nodesOf, type Scope } from "@/model/scope";
import { defaultOf, inputOf, type NodeTypes, typeOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow, useDocuments } from "@/store/documents";
import { notify } from "@/store/notices";
import { useUi } from "@/store/ui";
import { areLorasMeant, areWordsTaught, putInversion, putLora } from "./loras";
import { suitsOf, tellPut } from "./suits";

interface Ground {
  readonly workflow: Workflow;
  readonly scope: Scope;
  readonly types: NodeTypes;
}

function shownGround(): Ground | null {
  const { types } = useCatalogue.getState();
  const document = activeDocument();
  return types && { workflow: currentWorkflow(document), scope: currentScope(document), types };
}

export interface Drop {
  /** Where a node is put if none is there to take the model. */
  readonly at: Point;
  /** The node, and the input of it, that it was dropped on. */
  readonly node: string | null;
  readonly port: string;
}

/**
 * Put a model into the graph, as one step to undo.
 *
 * It goes into the loader that it was dropped on, or else the selected one, or else the only one of
 * its kind; a LoRA or textual inversion goes on the model that a prompt leads. Where nothing takes
 * it, and where it was dropped beside the cards, a node that loads it is added.
 */
export function putModel(model: LibraryModel, drop: Drop | null = null): void {
  const ground = shownGround();
  if (ground === null) return;
  const target = drop === null ? meantInput(ground, model) : droppedInput(ground, model, drop);
  if (target !== null) nameIn(ground, target, model);
  else if (
    !(drop === null || drop.node !== null) ||
    !putOnPrompt(ground, model, drop?.node ?? null)
  )
    addFor(ground, model, drop?.at ?? null);
  showGraph();
}

/** On a small screen the panel lies over the graph, and there is an app or a page to be left. */
function showGraph(): void {
  const { view, setView } = useUi.getState();
  if (view !== "graph") setView("graph");
}

function meantInput(ground: Ground, model: LibraryModel): Target | null {
  const selected = nodeNames(activeDocument().selection);
  for (const node of selected) {
    const found = modelInput(ground, node, model);
    if (found !== null) return found;
  }
  return model.use === "model" ? onlyLoader(ground, model) : null;
}

function droppedInput(ground: Ground, model: LibraryModel, { node, port }: Drop): Target | null {
  return node === null ? null : modelInput(ground, node, model, port);
}

/** Name a model in an input, with what suits it. */
function nameIn(ground: Ground, target: Target, model: LibraryModel): void {
  const { suits, name } = model;
  const chosen = chooseModel(ground, target, name, (each) =>
    each === name ? suits : suitsOf(each),
  );
  const title = modelTitle(model);
  useDocuments.getState().change(t("models.chosen", { name: title }), () => chosen.workflow, {
    named: true,
    select: [target.node],
  });
  tellPut(t("models.put", { name: title, node: target.node }), target.node, chosen.set);
}

function addFor(ground: Ground, model: LibraryModel, at: Point | null): void {
  const added = addLoader(ground, model, at ?? freePlace());
  if (added === null) {
    notify({
      kind: "warning",
      title: t("models.noLoader", { name: modelTitle(model) }),
      detail: model.problem ?? t("models.noLoaderDetail"),
      key: "models.put",
    });
    return;
  }
  const { node, port } = added.at;
  const keepSeen = keepingSeen();
  const edit = () => setInput(added.workflow, ground.scope, node, port, model.name);
  useDocuments.getState().change(t("models.added", { name: modelTitle(model) }), edit, {
    named: true,
    select: [node],
  });
  keepSeen([node]);
}

/** Put a LoRA or textual inversion on what a prompt leads; false if there is no such prompt. */
function putOnPrompt(ground: Ground, model: LibraryModel, node: string | null): boolean {
  if (model.use !== "lora" && model.use !== "embedding") return false;
  const place = promptFor(ground, model.use, node);
  if (place === null) return false;
  const text = textAt(ground, place);
  const words = model.trigger_words.join(", ");
  if (model.use === "lora") {
    putLora(place, { name: model.name, words }, withWords(text, words), true);
  } else {
    const word = model.trigger_words[0] ?? modelTitle({ name: model.name, title: null });
    putInversion(place, { word, file: model.name }, withWords(text, word), true);
  }
  return true;
}

/** The prompt that is meant: the node that is pointed at or selected, or else the first one. */
function promptFor(ground: Ground, use: "lora" | "embedding", node: string | null): Target | null {
  const isMeant = use === "lora" ? areLorasMeant : areWordsTaught;
  const wanted = node === null ? nodeNames(activeDocument().selection) : [node];
  const all = [...wanted, ...nodesOf(ground.workflow, ground.scope).keys()];
  for (const name of all) {
    const place = promptIn(ground, name);
    if (place !== null && isMeant(name)) return place;
  }
  return null;
}

function promptIn({ workflow, scope, types }: Ground, node: string): Target | null {
  const entry = nodesOf(workflow, scope).get(node);
  const spec = entry && typeOf(types, workflow, entry);
  const input = spec?.inputs.find((each) => {
    const widget = widgetOf(each);
    return widget?.kind === "text" && widget.prompt && !isLink(entry?.inputs.get(each.name));
  });
  return input === undefined ? null : { node, port: input.name };
}

function textAt({ workflow, scope, types }: Ground, { node, port }: Target): string {
  const entry = nodesOf(workflow, scope).get(node);
  const spec = entry && typeOf(types, workflow, entry);
  const input = spec && inputOf(spec, port);
  const value = literalOf(entry?.inputs.get(port)) ?? (input ? defaultOf(input) : undefined);
  return typeof value === "string" ? value : "";
}

/** A prompt with words at its end, unless it has them. */
function withWords(text: string, words: string): string {
  if (words === "" || text.toLowerCase().includes(words.toLowerCase())) return text;
  return text.trim() === "" ? words : `${text.trimEnd().replace(/,$/, "")}, ${words}`;
}

/** Put trigger words into the selected prompt, or the first one; false if there is none. */
export function putWords(words: string): boolean {
  const ground = shownGround();
  if (ground === null) return false;
  const names = [
    ...nodeNames(activeDocument().selection),
    ...nodesOf(ground.workflow, ground.scope).keys(),
  ];
  const place = names.map((name) => promptIn(ground, name)).find((found) => found !== null);
  if (!place) return false;
  const text = withWords(textAt(ground, place), words);
  useDocuments
    .getState()
    .change("parameters.change", (w) => setInput(w, ground.scope, place.node, place.port, text));
  notify({
    kind: "info",
    title: t("models.wordsPut", { node: place.node }),
    detail: words,
    key: "models.words",
  });
  return true;
}
