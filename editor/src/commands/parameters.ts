/** Commands for inputs of nodes: their values, and which of them people vary. */
import { AppWindow, ListChecks } from "lucide-react";
import {
  disconnect,
  exposeParameter,
  parametersOf,
  removeParameter,
  setInput,
  setShown,
} from "@/model/edits";
import type { Json } from "@/model/json";
import { layoutOf } from "@/model/layout";
import { linkOf } from "@/model/links";
import { type Chosen, chooseModel } from "@/model/models";
import { wireMask } from "@/model/recipes";
import { nodesOf, type Scope } from "@/model/scope";
import { inputOf, type NodeTypes, typeOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import {
  activeDocument,
  currentScope,
  currentWorkflow,
  documentById,
  useDocuments,
} from "@/store/documents";
import { markedOf, useSweeps } from "@/store/sweeps";
import { useUi } from "@/store/ui";
import type { Command } from "./registry";
import { suitsOf, tellChosen, titleOf } from "./suits";

/** An input of a node in the graph that is shown. */
export interface Place {
  readonly node: string;
  readonly port: string;
}

/** What can be said of an input as the file stands now. */
export interface PlaceState {
  readonly written: Json | undefined;
  readonly linked: boolean;
  /** Shown as a port though it has a widget. */
  readonly shown: boolean;
  /** The parameters that vary it. */
  readonly parameters: readonly string[];
  /** Parameters belong to the file's own graph only. */
  readonly inBlock: boolean;
}

export function stateOf({ node, port }: Place): PlaceState {
  const document = activeDocument();
  const [workflow, scope] = [currentWorkflow(document), currentScope(document)];
  const written = nodesOf(workflow, scope).get(node)?.inputs.get(port);
  return {
    written,
    linked: linkOf(written) !== null,
    shown: layoutOf(workflow, scope).shown.get(node)?.has(port) === true,
    parameters: scope === null ? parametersOf(workflow, node, port) : [],
    inBlock: scope !== null,
  };
}

/**
 * An input of a graph that needn't be shown any more once there is something to give it: an upload
 * takes a while.
 */
export interface FarPlace extends Place {
  readonly document: string;
  readonly scope: Scope;
}

function shownPlace(place: Place): FarPlace {
  const document = activeDocument();
  return { ...place, document: document.id, scope: currentScope(document) };
}

/** Give an input a value; undefined takes what is written away, so that its default counts. */
export function giveValue(place: Place | FarPlace, value: Json | undefined, merge?: string): void {
  const { node, port, document, scope } = "document" in place ? place : shownPlace(place);
  const chosen = modelChoice({ node, port, document, scope }, value);
  const edit = (workflow: Workflow) =>
    chosen?.workflow ?? setInput(workflow, scope, node, port, value);
  useDocuments.getState().change("parameters.change", edit, { merge, document });
  if (chosen !== null) tellChosen(titleOf(String(value)), node, chosen);
}

/** A model that is named in an input, with what suits it; null where it is no input for models. */
function modelChoice(place: FarPlace, value: Json | undefined): Chosen | null {
  const { types } = useCatalogue.getState();
  const document = documentById(place.document);
  if (types === null || document === null || typeof value !== "string") return null;
  const ground = { workflow: currentWorkflow(document), scope: place.scope, types };
  if (!takesModel(types, ground.workflow, place.scope, place)) return null;
  return chooseModel(ground, place, value, suitsOf);
}

function takesModel(types: NodeTypes, workflow: Workflow, scope: Scope, { node, port }: Place) {
  const entry = nodesOf(workflow, scope).get(node);
  const spec = entry && typeOf(types, workflow, entry);
  const input = spec && inputOf(spec, port);
  const widget = input && widgetOf(input);
  return widget?.kind === "file" && widget.file === "model";
}

/** Give an input a picture with a painted mask, which is linked to where the graph wants it. */
export function giveMasked({ node, port, document, scope }: FarPlace, value: string): void {
  const { types } = useCatalogue.getState();
  const edit = (w: Workflow) => {
    // A node that is gone by now takes nothing.
    if (!nodesOf(w, scope).has(node)) return w;
    const workflow = setInput(w, scope, node, port, value);
    return types === null ? workflow : wireMask({ workflow, scope, types }, node);
  };
  useDocuments.getState().change("widgets.masked", edit, { document });
}

/** Show an input as a port that takes a link, or as a field again, which ends its link. */
export function convert({ node, port }: Place, asPort: boolean): void {
  const scope = currentScope(activeDocument());
  useDocuments.getState().change(asPort ? "parameters.toPort" : "parameters.toField", (w) => {
    const cut = asPort ? w : disconnect(w, scope, [`${node}.${port}`]);
    return setShown(cut, scope, node, port, asPort);
  });
}

/** Make an input one that people vary; shows the list of them. */
export function expose({ node, port }: Place): void {
  if (currentScope(activeDocument()) !== null) return;
  useDocuments.getState().change("parameters.exposed", (w) => {
    const name = w.parameters.has(port) ? `${node}_${port}` : port;
    return exposeParameter(w, name, `${node}.${port}`).workflow;
  });
}

export function unexpose(place: Place): void {
  useDocuments.getState().change("parameters.removed", (w) => {
    const names = parametersOf(w, place.node, place.port);
    return names.reduce((changed, name) => removeParameter(changed, name), w);
  });
}

/** Whether an input is marked to be run with several values. */
export function isSwept({ node, port }: Place): boolean {
  const { id, path } = activeDocument();
  if (path.length > 0) return false;
  const marked = markedOf(useSweeps.getState(), id);
  return marked.some(({ target }) => target === `${node}.${port}`);
}

/** Mark an input to be run with several values, which are asked for; or no longer. */
export function sweep({ node, port }: Place): void {
  const isMarked = useSweeps.getState().toggle(activeDocument().id, `${node}.${port}`);
  if (isMarked) useUi.getState().openDialog("sweep");
}

/** The input that a command was called for. */
function placeOf(context: unknown): Place | null {
  if (typeof context !== "object" || context === null) return null;
  const { node, port } = context as Partial<Place>;
  return typeof node === "string" && typeof port === "string" ? { node, port } : null;
}

function onPlace(act: (place: Place) => void): Command["run"] {
  return (context) => {
    const place = placeOf(context);
    if (place !== null) act(place);
  };
}

export const commands: readonly Command[] = [
  {
    id: "parameters.show",
    label: "parameters.show",
    group: "parameters",
    icon: ListChecks,
    run: () => useUi.getState().showPanel("right", "parameters"),
  },
  {
    id: "parameters.app",
    label: "parameters.app",
    group: "parameters",
    icon: AppWindow,
    keys: ["mod+shift+a"],
    checked: () => useUi.getState().view === "app",
    run: () => {
      const { view, setView } = useUi.getState();
      setView(view === "app" ? "graph" : "app");
    },
  },
  {
    id: "parameters.expose",
    label: "parameters.expose",
    group: "parameters",
    hidden: true,
    when: () => currentScope(activeDocument()) === null,
    run: onPlace(expose),
  },
  {
    id: "parameters.toPort",
    label: "parameters.toPort",
    group: "parameters",
    hidden: true,
    run: onPlace((place) => convert(place, true)),
  },
  {
    id: "parameters.toField",
    label: "parameters.toField",
    group: "parameters",
    hidden: true,
    run: onPlace((place) => convert(place, false)),
  },
  {
    id: "parameters.reset",
    label: "parameters.reset",
    group: "parameters",
    hidden: true,
    run: onPlace((place) => giveValue(place, undefined)),
  },
];
