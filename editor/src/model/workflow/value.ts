/** The workflow file as a value: nodes by name, the links between them, and what people vary. */
import type { Json, JsonObject } from "../json";

export const FORMAT = "nodegraph/1";

export type Mode = "mute" | "bypass";

/** One node; its inputs are as written, see links.ts. Unknown keys of every part are in `extra`. */
export interface NodeEntry {
  readonly type: string;
  readonly version: number | null;
  readonly inputs: ReadonlyMap<string, Json>;
  readonly label: string;
  readonly note: string;
  readonly always: boolean;
  readonly mode: Mode | null;
  readonly extra: JsonObject;
}

export type Nodes = ReadonlyMap<string, NodeEntry>;

/** Whether an input has to be given, as its value couldn't be read of another program's file. */
export function isUnread(entry: NodeEntry | undefined, port: string): boolean {
  const unread = entry?.extra.get("unread");
  return Array.isArray(unread) && unread.includes(port);
}

/** An input, "node.input", that people vary. */
export interface Parameter {
  readonly input: string;
  readonly label: string;
  readonly help: string;
  readonly extra: JsonObject;
}

/** An input of a block and the inner inputs it leads to; `extra` may hold "default". */
export interface SubgraphInput {
  readonly type: string;
  readonly to: readonly string[];
  readonly help: string;
  readonly extra: JsonObject;
}

export interface Subgraph {
  readonly inputs: ReadonlyMap<string, SubgraphInput>;
  readonly outputs: ReadonlyMap<string, string>;
  readonly nodes: Nodes;
  readonly extra: JsonObject;
}

export interface Workflow {
  readonly format: string;
  readonly title: string;
  readonly description: string;
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly nodes: Nodes;
  readonly subgraphs: ReadonlyMap<string, Subgraph>;
  readonly requires: ReadonlyMap<string, string>;
  readonly ui: JsonObject;
  readonly extra: JsonObject;
}

/** Key of a workflow from a result: the precision of models on a CPU that made it. */
export const CPU_PRECISION = "cpu_precision";

export function cpuPrecisionOf(workflow: Workflow): string {
  const value = workflow.extra.get(CPU_PRECISION);
  return typeof value === "string" ? value : "";
}

export const NOTHING: JsonObject = new Map();

export function emptyWorkflow(title = ""): Workflow {
  return {
    format: FORMAT,
    title,
    description: "",
    parameters: new Map(),
    nodes: new Map(),
    subgraphs: new Map(),
    requires: new Map(),
    ui: NOTHING,
    extra: NOTHING,
  };
}

export function emptyNode(type: string): NodeEntry {
  return {
    type,
    version: null,
    inputs: new Map(),
    label: "",
    note: "",
    always: false,
    mode: null,
    extra: NOTHING,
  };
}

export function emptySubgraph(): Subgraph {
  return { inputs: new Map(), outputs: new Map(), nodes: new Map(), extra: NOTHING };
}

/** Whether a node may have this name: "." parts node and port, "/" block and node. */
export function isNodeName(name: string): boolean {
  return /^[^./]+$/.test(name);
}
