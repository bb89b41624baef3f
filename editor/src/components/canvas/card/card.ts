/** What a node's card shows: its ports, its widgets and its words, from its entry and its type. */
import { t } from "@/i18n";
import { placeholderType } from "@/model/comfyui";
import { colorOf } from "@/model/compat";
import { type Family, familyOf } from "@/model/families";
import { edgesFrom, edgesInto } from "@/model/graph";
import { isLink, literalOf } from "@/model/links";
import {
  bodyNameOf,
  type InputSpec,
  labelOf,
  mayCome,
  type NodeSpec,
  type NodeTypes,
  portLabel,
  typeOf,
} from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { NodeEntry, Nodes, Workflow } from "@/model/workflow";

export interface PortView {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly color: string;
  readonly help: string;
  /** An input that needs a value. */
  readonly required: boolean;
  readonly linked: boolean;
  /** An input that has a widget too, and could show that instead. */
  readonly hasWidget: boolean;
  /** No such port in the node's type: left over from another version of it. */
  readonly unknown: boolean;
}

export interface CardModel {
  readonly name: string;
  readonly entry: NodeEntry;
  readonly spec: NodeSpec | null;
  readonly title: string;
  /** What stands small beside the title: the type where the title is another, else the name. */
  readonly subtitle: string;
  readonly inputs: readonly PortView[];
  readonly outputs: readonly PortView[];
  readonly widgets: readonly InputSpec[];
  /** Inputs that the card leaves to the inspector. */
  readonly hidden: number;
  /** The subgraph that the node is, or runs; null for others. */
  readonly block: string | null;
  /** By which its colour is chosen; null if its type isn't known. */
  readonly family: Family | null;
  /** The node types aren't loaded yet. */
  readonly pending: boolean;
  /** Its pack is still being read. */
  readonly mayCome: boolean;
}

export interface CardContext {
  readonly types: NodeTypes | null;
  readonly workflow: Workflow;
  readonly nodes: Nodes;
  /** Inputs with a widget that are shown as ports. */
  readonly shown: ReadonlySet<string> | undefined;
  /** Inputs that get their value from the block's own inputs. */
  readonly fed?: ReadonlySet<string> | undefined;
}

export function cardOf(name: string, entry: NodeEntry, context: CardContext): CardModel {
  const spec = context.types && typeOf(context.types, context.workflow, entry);
  if (!spec) return unknownCard(name, entry, context);
  const split = splitInputs(entry, spec, context);
  return {
    name,
    entry,
    spec,
    ...wordsOf(name, entry, spec),
    inputs: [
      ...split.ports.map((input) => inputPort(input, entry, context)),
      ...leftOver(entry, spec),
    ],
    outputs: spec.outputs.map((output) => ({
      ...PLAIN_PORT,
      name: output.name,
      label: portLabel(output),
      type: output.type,
      color: colorIn(context.types, output.type),
      help: output.help,
    })),
    widgets: split.widgets,
    hidden: split.hidden,
    block: blockOf(entry, spec, context.workflow),
    family: familyOf(spec.category),
    pending: false,
    mayCome: false,
  };
}

export const PLAIN_PORT: PortView = {
  name: "",
  label: "",
  type: "Any",
  color: "var(--text-faint)",
  help: "",
  required: false,
  linked: false,
  hasWidget: false,
  unknown: false,
};

function colorIn(types: NodeTypes | null, type: string): string {
  return types ? colorOf(types, type) : PLAIN_PORT.color;
}

function wordsOf(
  name: string,
  entry: NodeEntry,
  spec: NodeSpec,
): { title: string; subtitle: string } {
  const label = labelOf(spec);
  if (entry.label !== "" && entry.label !== label) return { title: entry.label, subtitle: label };
  return { title: label, subtitle: name === label ? "" : name };
}

interface Split {
  readonly ports: readonly InputSpec[];
  readonly widgets: readonly InputSpec[];
  readonly hidden: number;
}

function splitInputs(entry: NodeEntry, spec: NodeSpec, { shown, fed }: CardContext): Split {
  const ports: InputSpec[] = [];
  const widgets: InputSpec[] = [];
  let hidden = 0;
  for (const input of spec.inputs) {
    const value = entry.inputs.get(input.name);
    const isPort = isLink(value) || shown?.has(input.name) || fed?.has(input.name);
    const isLinkable = isPortOnly(input, entry);
    if (isPort || (isLinkable && !(input.advanced && value === undefined))) ports.push(input);
    else if (input.advanced && literalOf(value) === undefined) hidden += 1;
    else widgets.push(input);
  }
  return { ports, widgets, hidden };
}

/** Inputs that are linked as a rule: without a widget, or with one that only takes raw JSON. */
function isPortOnly(input: InputSpec, entry: NodeEntry): boolean {
  const widget = widgetOf(input);
  if (widget === null) return true;
  return widget.kind === "json" && literalOf(entry.inputs.get(input.name)) === undefined;
}

function inputPort(input: InputSpec, entry: NodeEntry, context: CardContext): PortView {
  const widget = widgetOf(input);
  return {
    ...PLAIN_PORT,
    name: input.name,
    label: portLabel(input),
    type: input.type,
    color: colorIn(context.types, input.type),
    help: input.help,
    required: input.required,
    linked: isLink(entry.inputs.get(input.name)) || context.fed?.has(input.name) === true,
    hasWidget: widget !== null && widget.kind !== "json",
  };
}

/** Links into inputs that the type doesn't have: shown, so that they can be taken away. */
function leftOver(entry: NodeEntry, spec: NodeSpec): readonly PortView[] {
  const known = new Set(spec.inputs.map((input) => input.name));
  return [...entry.inputs]
    .filter(([port, value]) => !known.has(port) && isLink(value))
    .map(([port]) => ({
      ...PLAIN_PORT,
      name: port,
      label: portLabel({ name: port }),
      linked: true,
      unknown: true,
    }));
}

/** A card of a type that isn't there: with the ports that links use, so that nothing gets lost. */
function unknownCard(name: string, entry: NodeEntry, context: CardContext): CardModel {
  const inputs = edgesInto(name, entry).map(({ to }) => to.port);
  const outputs = new Set(edgesFrom(context.nodes, name).map(({ from }) => from.port));
  const placeholder = placeholderType(entry.type);
  const isAwaited = context.types !== null && mayCome(context.types, entry.type);
  const port = (of: string): PortView => ({
    ...PLAIN_PORT,
    name: of,
    label: portLabel({ name: of }),
    // Those of a placeholder are as they should be, and nobody knows of those that may come.
    unknown: placeholder === null && !isAwaited,
  });
  return {
    name,
    entry,
    spec: null,
    ...unknownWords(name, entry, placeholder),
    inputs: inputs.map((of) => ({ ...port(of), linked: true })),
    outputs: [...outputs].map(port),
    widgets: [],
    hidden: 0,
    block: null,
    family: null,
    pending: context.types === null,
    mayCome: isAwaited,
  };
}

function unknownWords(
  name: string,
  entry: NodeEntry,
  placeholder: string | null,
): { title: string; subtitle: string } {
  if (placeholder !== null) {
    return { title: entry.label || placeholder, subtitle: t("canvas.card.ofComfyUi") };
  }
  return { title: entry.label || entry.type, subtitle: entry.label ? entry.type : name };
}

function blockOf(entry: NodeEntry, spec: NodeSpec, workflow: Workflow): string | null {
  if (workflow.subgraphs.has(entry.type)) return entry.type;
  const body = bodyNameOf(spec, entry.inputs);
  return body !== "" && workflow.subgraphs.has(body) ? body : null;
}
