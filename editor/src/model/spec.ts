/**
 * What node types declare, as the server tells it, and what the nodes of a workflow declare:
 * subgraphs are node types too, and a node that runs a subgraph has that one's types and inputs.
 *
 * The rules are those of nodegraph/core/subgraphs.py.
 */
import type { Json } from "./json";
import { fromPlain } from "./json";
import { keptIn } from "./kept";
import { linkOf, literalOf, parseLink, targetOf } from "./links";
import { frameOf, OF_PACK, type PackFrame } from "./packFrames";
import {
  ANY,
  ANY_ITEM,
  declaredType,
  fillIn,
  type JsonSchema,
  type PortType,
  type PortTypes,
  parseType,
  schemaOfType,
} from "./types";
import { NO_USAGE, type Usage } from "./usage";
import type { NodeEntry, Subgraph, SubgraphInput, Workflow } from "./workflow";

/** How a node uses the subgraph that one of its inputs names. */
export interface BodySpec {
  /** The subgraph's inputs that the node gives, and the node's input that each is taken from. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Outputs that the subgraph must have, and the node's outputs that are made of each. */
  readonly outputs: Readonly<Record<string, readonly string[]>>;
  /** Whether the subgraph's other inputs are inputs of the node too. */
  readonly passes_on: boolean;
}

export interface InputSpec {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly nullable: boolean;
  readonly lazy: boolean;
  readonly default: unknown;
  /** Of a literal; null for types that can only be linked. */
  readonly json_schema: JsonSchema | null;
  readonly widget: string;
  readonly step: number | null;
  readonly advanced: boolean;
  readonly group: string;
  readonly help: string;
  /** Its name in the language that is shown; without one, the English name is. */
  readonly label?: string | undefined;
  readonly body: BodySpec | null;
  readonly passed_on: boolean;
  /** Where the widget is that the node's pack brings for it. */
  readonly frame?: string | null;
}

export interface OutputSpec {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly help: string;
  readonly label?: string | undefined;
}

/** A small workflow that shows what a node type does. */
export interface NodeExample {
  readonly href: string;
  /** Where there is a picture of what it makes. */
  readonly picture: string | null;
  /** Files that it reads, which have to be brought along. */
  readonly needs: readonly string[];
  /** Folders that it reads. */
  readonly folders: readonly string[];
}

export interface NodeSpec {
  readonly type: string;
  readonly pack: string;
  readonly version: number;
  readonly label: string;
  /** The label in English, where `label` is in another language. */
  readonly englishLabel?: string;
  readonly category: string;
  /** The category in the language that is shown; `category` is in English. */
  readonly shownCategory?: string;
  readonly summary: string;
  readonly help: string;
  readonly inputs: readonly InputSpec[];
  readonly outputs: readonly OutputSpec[];
  readonly lane: "gpu" | "cpu" | "io";
  readonly is_async: boolean;
  readonly deterministic: boolean;
  /** A sink: it is what a run is for. */
  readonly output: boolean;
  readonly output_files: boolean;
  readonly numerics: boolean;
  readonly continues: readonly string[];
  readonly deprecated: string;
  readonly experimental: boolean;
  readonly tags: readonly string[];
  /** Whether it takes inputs that it doesn't declare, of any type. */
  readonly takes_more?: boolean;
  readonly facts: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly example: NodeExample | null;
  /** Where it runs apart from the rest: in its pack's process, or in that and a sandbox. */
  readonly process?: "process" | "sandbox";
}

export interface NodeTypes {
  readonly byName: ReadonlyMap<string, NodeSpec>;
  readonly portTypes: PortTypes;
  /** How often they are used, and how. */
  readonly usage: Usage;
  /** Packs that have yet to be read; "" for the built-in nodes. */
  readonly unread: ReadonlySet<string>;
  readonly digest: string;
}

/** The catalogue from what GET /node-types answers; `digest` is its ETag or "". */
export function nodeTypesOf(
  list: {
    readonly items: readonly NodeSpec[];
    readonly port_types: readonly PortType[];
    readonly frames?: readonly PackFrame[];
    readonly unread?: readonly string[];
    readonly usage?: Usage;
    readonly isolated?: Readonly<Record<string, "process" | "sandbox">>;
  },
  digest = "",
): NodeTypes {
  return {
    byName: new Map(
      list.items.map((spec) => {
        const process = list.isolated?.[spec.pack];
        const known = process === undefined ? spec : { ...spec, process };
        return [spec.type, framed(known, list.frames ?? [])];
      }),
    ),
    portTypes: new Map(list.port_types.map((type) => [type.name, type])),
    usage: list.usage ?? NO_USAGE,
    unread: new Set(list.unread),
    digest,
  };
}

/** The pack that a type of no block is of; "" for the built-in ones. */
export function packOf(type: string): string {
  return type.slice(0, Math.max(0, type.lastIndexOf(":")));
}

/** Whether a type may still come: its pack is being read. */
export function mayCome(types: NodeTypes, type: string): boolean {
  return types.unread.has(packOf(type)) && !types.byName.has(type);
}

/** A node type whose inputs know where their pack's widgets are. */
function framed(spec: NodeSpec, frames: readonly PackFrame[]): NodeSpec {
  if (!spec.inputs.some(({ widget }) => widget.startsWith(OF_PACK))) return spec;
  const inputs = spec.inputs.map((input) => ({
    ...input,
    frame: frameOf(frames, spec.pack, input.widget),
  }));
  return { ...spec, inputs };
}

/** What a node's type declares, be it a subgraph or a node type; null if it is unknown. */
export function typeOf(types: NodeTypes, workflow: Workflow, entry: NodeEntry): NodeSpec | null {
  return specsOf(types, workflow).of(entry);
}

/** A subgraph as a node type; null if there is none of that name, or it can't be used. */
export function subgraphType(types: NodeTypes, workflow: Workflow, name: string): NodeSpec | null {
  return specsOf(types, workflow).subgraph(name);
}

export function inputOf(spec: NodeSpec, name: string): InputSpec | null {
  return spec.inputs.find((port) => port.name === name) ?? null;
}

/** The output of a name; with the name "" the only one. */
export function outputOf(spec: NodeSpec, name: string): OutputSpec | null {
  if (name === "") return spec.outputs.length === 1 ? (spec.outputs[0] ?? null) : null;
  return spec.outputs.find((port) => port.name === name) ?? null;
}

/** The value where nothing is given; undefined where there is none. */
export function defaultOf(input: InputSpec): Json | undefined {
  if (input.required) return undefined;
  return fromPlain(input.default ?? null);
}

/** The subgraph that a node runs, as its inputs say; "" if they don't. */
export function bodyNameOf(spec: NodeSpec, inputs: ReadonlyMap<string, Json>): string {
  const port = spec.inputs.find((input) => input.body !== null);
  const written = port && inputs.get(port.name);
  const name = linkOf(written) === null ? literalOf(written) : undefined;
  return typeof name === "string" ? name : "";
}

/** What a type is called on the screen. */
export function labelOf(spec: NodeSpec): string {
  return spec.label || spec.type;
}

/** What a category is called on the screen. */
export function categoryOf(spec: Pick<NodeSpec, "category" | "shownCategory">): string {
  return spec.shownCategory ?? spec.category;
}

/** What an input or output is called on the screen. */
export function portLabel(port: Pick<OutputSpec, "name" | "label">): string {
  return port.label ?? port.name.replaceAll("_", " ");
}

/** Words of advice that lead on to a node type. */
const LEADING = /\b(?:such as|put an?|or) $/i;
const TYPE = /(?<![`\w.:/])[A-Za-z_]\w*(?::\w+)?(?![`\w(])/g;

/** Advice of the server's with node types called as searches and cards call them. */
export function withLabels(text: string, types: NodeTypes | null): string {
  return text.replace(TYPE, (word, at: number) => {
    const spec = types?.byName.get(word);
    // Some are called like other words: Select, Repeat.
    const isMeant = /.[A-Z]/.test(word) || LEADING.test(text.slice(0, at));
    return spec && isMeant ? labelOf(spec) : word;
  });
}

const DEEPEST = 32;

type Blocks = ReadonlyMap<string, Subgraph>;

// By the identity of the blocks, which edits of other parts keep: so specs stay the same objects.
const known = new WeakMap<NodeTypes, WeakMap<Blocks, Specs>>();

function specsOf(types: NodeTypes, workflow: Workflow): Specs {
  const ofTypes = keptIn(known, types, () => new WeakMap<Blocks, Specs>());
  return keptIn(ofTypes, workflow.subgraphs, () => new Specs(types, workflow.subgraphs));
}

/** What the nodes of a workflow declare; what is found once is remembered. */
class Specs {
  private readonly blockSpecs = new Map<string, NodeSpec | null>();
  private readonly extendedSpecs = new Map<string, NodeSpec>();
  private readonly usable: ReadonlySet<string>;

  constructor(
    private readonly types: NodeTypes,
    private readonly blocks: Blocks,
  ) {
    this.usable = notRecursive(blocks);
  }

  of(entry: NodeEntry, level = 0): NodeSpec | null {
    if (this.blocks.has(entry.type)) return this.subgraph(entry.type, level);
    const spec = this.types.byName.get(entry.type);
    if (!spec) return null;
    if (spec.takes_more) return this.withMore(spec, entry);
    return this.withBody(spec, bodyNameOf(spec, entry.inputs), level);
  }

  subgraph(name: string, level = 0): NodeSpec | null {
    const block = this.blocks.get(name);
    if (!block || level > DEEPEST || !this.usable.has(name)) return null;
    const found = this.blockSpecs.get(name);
    if (found !== undefined) return found;
    // Of one that runs itself in a loop, for as long as it isn't known.
    this.blockSpecs.set(name, null);
    const spec = this.build(name, block, level);
    this.blockSpecs.set(name, spec);
    return spec;
  }

  private build(name: string, block: Subgraph, level: number): NodeSpec {
    const specs = new Map<string, NodeSpec | null>();
    for (const [node, entry] of block.nodes) specs.set(node, this.of(entry, level + 1));
    const inputs = [...block.inputs].map(([port, input]) =>
      blockInput(port, input, block, specs, this.types.portTypes),
    );
    const outputs = [...block.outputs].map(([port, text]) => blockOutput(port, text, specs));
    const output = [...specs.values()].some((spec) => spec?.output === true);
    return { ...NO_TRAITS, type: name, label: name, inputs, outputs, output };
  }

  private withMore(spec: NodeSpec, entry: NodeEntry): NodeSpec {
    const declared = new Set(spec.inputs.map(({ name }) => name));
    const more = [...entry.inputs.keys()].filter((name) => !declared.has(name));
    if (more.length === 0) return spec;
    const key = [spec.type, ...more].join("\n");
    const found = this.extendedSpecs.get(key) ?? withInputs(spec, more);
    this.extendedSpecs.set(key, found);
    return found;
  }

  private withBody(spec: NodeSpec, name: string, level: number): NodeSpec {
    const body = spec.inputs.find((port) => port.body !== null)?.body;
    const inner = body && name ? this.subgraph(name, level + 1) : null;
    if (!body || !inner) return spec;
    const key = `${spec.type}\n${name}`;
    const found = this.extendedSpecs.get(key) ?? extended(spec, body, inner);
    this.extendedSpecs.set(key, found);
    return found;
  }
}

/** A node type with inputs that it takes without having declared them; nodegraph/core does the same. */
function withInputs(spec: NodeSpec, names: readonly string[]): NodeSpec {
  const takesLists = spec.inputs.some((port) => parseType(port.type)?.kind === "list");
  const type = takesLists ? `list[${ANY}]` : ANY_ITEM;
  const more = names.map((name) => ({
    ...ANY_INPUT,
    name,
    type,
    required: false,
    nullable: true,
    json_schema: {},
  }));
  return { ...spec, inputs: [...spec.inputs, ...more] };
}

/** What a node type is that says nothing of itself but its ports. */
export const NO_TRAITS: Omit<NodeSpec, "type" | "label" | "inputs" | "outputs"> = {
  pack: "",
  version: 1,
  category: "",
  summary: "",
  help: "",
  lane: "cpu",
  is_async: false,
  deterministic: true,
  output: false,
  output_files: false,
  numerics: false,
  continues: [],
  deprecated: "",
  experimental: false,
  tags: [],
  facts: {},
  example: null,
};

/** An input that takes any value, and has to have one. */
export const ANY_INPUT: InputSpec = {
  name: "",
  type: ANY,
  required: true,
  nullable: false,
  lazy: false,
  default: null,
  json_schema: null,
  widget: "",
  step: null,
  advanced: false,
  group: "",
  help: "",
  body: null,
  passed_on: false,
};

function blockInput(
  name: string,
  port: SubgraphInput,
  block: Subgraph,
  specs: ReadonlyMap<string, NodeSpec | null>,
  portTypes: PortTypes,
): InputSpec {
  const fed = port.to.flatMap((target) => fedBy(target, block, specs));
  const inner = fed[0]?.input ?? ANY_INPUT;
  const declared = declaredType(port.type, portTypes);
  const written = port.extra.get("default");
  return {
    ...inner,
    name,
    label: undefined,
    body: null,
    passed_on: false,
    type: declared ?? inner.type,
    json_schema:
      declared === null || declared === inner.type ? inner.json_schema : schemaOfType(declared),
    required: written === undefined && (fed.length === 0 || fed.some((item) => item.needed)),
    default: written === undefined ? inner.default : literalOf(written),
    help: port.help || inner.help,
  };
}

/** The inner input that a target names, and whether it needs a value from outside. */
function fedBy(
  text: string,
  block: Subgraph,
  specs: ReadonlyMap<string, NodeSpec | null>,
): readonly { readonly input: InputSpec; readonly needed: boolean }[] {
  const target = targetOf(text);
  const spec = target && specs.get(target.node);
  const input = spec && inputOf(spec, target.port);
  if (!input) return [];
  const given = block.nodes.get(target.node)?.inputs.has(target.port) === true;
  return [{ input, needed: input.required && !given }];
}

function blockOutput(
  name: string,
  text: string,
  specs: ReadonlyMap<string, NodeSpec | null>,
): OutputSpec {
  const link = parseLink(text);
  const spec = link && specs.get(link.node);
  const inner = spec ? outputOf(spec, link.port) : null;
  return {
    name,
    type: inner?.type ?? ANY,
    nullable: inner?.nullable ?? false,
    help: inner?.help ?? "",
  };
}

/** A node type as it is where it runs a subgraph: with that one's types and inputs. */
function extended(spec: NodeSpec, body: BodySpec, inner: NodeSpec): NodeSpec {
  const given = new Map<string, InputSpec>();
  for (const [port, own] of Object.entries(body.inputs)) {
    const taken = own === "" ? null : inputOf(inner, port);
    if (taken) given.set(own, taken);
  }
  const made = new Map<string, string>();
  for (const [port, own] of Object.entries(body.outputs)) {
    const type = outputOf(inner, port)?.type;
    if (type !== undefined) for (const name of own) made.set(name, type);
  }
  const taken = new Set([...spec.inputs.map((port) => port.name), ...Object.keys(body.inputs)]);
  const more = inner.inputs.filter((port) => body.passes_on && !taken.has(port.name));
  return {
    ...spec,
    inputs: [
      ...spec.inputs.map((port) => ofBody(port, given.get(port.name))),
      ...more.map((port) => ({ ...port, passed_on: true })),
    ],
    outputs: spec.outputs.map((port) => {
      const type = made.get(port.name);
      return type === undefined ? port : { ...port, type: fillIn(port.type, type) };
    }),
    output: spec.output || inner.output,
  };
}

function ofBody(port: InputSpec, inner: InputSpec | undefined): InputSpec {
  if (!inner) return port;
  const type = fillIn(port.type, inner.type);
  return {
    ...port,
    type,
    json_schema: type === inner.type ? inner.json_schema : schemaOfType(type),
  };
}

/** The blocks that don't contain themselves, so that they can be inlined. */
function notRecursive(blocks: Blocks): ReadonlySet<string> {
  const state = new Map<string, "open" | "good" | "bad">();
  const visit = (name: string): boolean => {
    const seen = state.get(name);
    if (seen !== undefined) return seen === "good";
    state.set(name, "open");
    const inner = [...(blocks.get(name)?.nodes.values() ?? [])].map((entry) => entry.type);
    const good = inner.filter((type) => blocks.has(type)).every(visit);
    state.set(name, good ? "good" : "bad");
    return good;
  };
  return new Set([...blocks.keys()].filter(visit));
}
