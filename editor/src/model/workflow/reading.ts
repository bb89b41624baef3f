/** Workflows from their files, with all that is wrong with them at once. */
import { isList, isObject, type Json, type JsonObject, readJson } from "../json";
import {
  FORMAT,
  isNodeName,
  type Mode,
  NOTHING,
  type NodeEntry,
  type Nodes,
  type Parameter,
  type Subgraph,
  type SubgraphInput,
  type Workflow,
} from "./value";

/** JSON that is no workflow, or parts of it that have the wrong form. */
export class WorkflowFault extends Error {
  constructor(readonly problems: readonly string[]) {
    super(problems.join("; "));
    this.name = "WorkflowFault";
  }
}

/** A workflow from its file's text; throws a `JsonFault` or a `WorkflowFault`. */
export function readWorkflow(text: string): Workflow {
  return workflowFromJson(readJson(text));
}

export function workflowFromJson(json: Json): Workflow {
  if (!isObject(json)) throw new WorkflowFault(["a workflow is a JSON object"]);
  refuseFormat(json);
  const form = new Form();
  const workflow = readParts(new Part(json, "", form));
  if (form.problems.length > 0) throw new WorkflowFault(form.problems);
  return workflow;
}

function refuseFormat(json: JsonObject): void {
  const format = json.get("format");
  if (format === FORMAT) return;
  if (format === undefined || format === null) {
    throw new WorkflowFault(["this is no nodegraph workflow: the key `format` is missing"]);
  }
  const number = typeof format === "string" ? /^nodegraph\/(\d{1,9})$/.exec(format)?.[1] : null;
  if (Number(number) > 1) {
    throw new WorkflowFault([
      `the workflow was written by a newer nodegraph, in the format ${String(format)}`,
    ]);
  }
  throw new WorkflowFault(["the workflow's format is unknown"]);
}

/** One node, or one block, of its part of a file; throws a `WorkflowFault`. */
export function nodeFromJson(json: Json): NodeEntry {
  return partFromJson(json, readNode);
}

export function subgraphFromJson(json: Json): Subgraph {
  return partFromJson(json, readSubgraph);
}

function partFromJson<T>(json: Json, read: (part: Part) => T): T {
  if (!isObject(json)) throw new WorkflowFault(["a part of a workflow is a JSON object"]);
  const form = new Form();
  const found = read(new Part(json, "", form));
  if (form.problems.length > 0) throw new WorkflowFault(form.problems);
  return found;
}

class Form {
  readonly problems: string[] = [];
}

/** One object of the file while its known keys are taken out of it. */
class Part {
  private readonly rest: Map<string, Json>;

  constructor(
    json: JsonObject,
    private readonly place: string,
    readonly form: Form,
  ) {
    this.rest = new Map(json);
  }

  private take(key: string): Json | undefined {
    const value = this.rest.get(key);
    this.rest.delete(key);
    return value;
  }

  private at(key: string): string {
    return this.place === "" ? key : `${this.place}.${key}`;
  }

  wrong(key: string, says: string): void {
    this.form.problems.push(`\`${this.at(key)}\` ${says}`);
  }

  text(key: string, required = false): string {
    const value = this.take(key);
    if (typeof value === "string") return value;
    if (value !== undefined) this.wrong(key, "must be text");
    else if (required) this.wrong(key, "is missing");
    return "";
  }

  flag(key: string): boolean {
    const value = this.take(key);
    if (value !== undefined && typeof value !== "boolean") this.wrong(key, "must be true or false");
    return value === true;
  }

  version(): number | null {
    const value = this.take("version");
    if (value === undefined || value === null) return null;
    if (typeof value !== "number" || !Number.isInteger(value)) {
      this.wrong("version", "must be a whole number");
      return null;
    }
    if (value < 1) this.wrong("version", "must be at least 1");
    return value;
  }

  mode(): Mode | null {
    const value = this.take("mode");
    if (value === "mute" || value === "bypass") return value;
    if (value !== undefined && value !== null) this.wrong("mode", 'must be "mute" or "bypass"');
    return null;
  }

  object(key: string): JsonObject {
    const value = this.take(key);
    if (isObject(value)) return value;
    if (value !== undefined) this.wrong(key, "must be an object");
    return NOTHING;
  }

  texts(key: string): readonly string[] {
    const value = this.take(key);
    if (value === undefined) return [];
    if (!isList(value)) {
      this.wrong(key, "must be a list");
      return [];
    }
    const found: string[] = [];
    value.forEach((item, index) => {
      if (typeof item === "string") found.push(item);
      else this.wrong(`${key}.${index}`, "must be text");
    });
    return found;
  }

  textsByKey(key: string): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const [name, value] of this.object(key)) {
      if (typeof value === "string") found.set(name, value);
      else this.wrong(`${key}.${name}`, "must be text");
    }
    return found;
  }

  /** The parts under a key, each read by a function of its own. */
  parts<T>(key: string, read: (part: Part) => T, short?: string): ReadonlyMap<string, T> {
    const found = new Map<string, T>();
    for (const [name, value] of this.object(key)) {
      const place = this.at(`${key}.${name}`);
      const json = short && typeof value === "string" ? new Map([[short, value]]) : value;
      if (isObject(json)) found.set(name, read(new Part(json, place, this.form)));
      else this.wrong(`${key}.${name}`, "must be an object");
    }
    return found;
  }

  nodes(): Nodes {
    const found = this.parts("nodes", readNode);
    for (const name of found.keys()) {
      if (!isNodeName(name)) {
        this.form.problems.push(
          `\`${name}\` can't be the name of a node: it may hold no . and no /`,
        );
      }
    }
    return found;
  }

  extra(): JsonObject {
    return this.rest.size === 0 ? NOTHING : this.rest;
  }
}

function readParts(part: Part): Workflow {
  return {
    format: part.text("format"),
    title: part.text("title"),
    description: part.text("description"),
    parameters: part.parts("parameters", readParameter, "input"),
    nodes: part.nodes(),
    subgraphs: part.parts("subgraphs", readSubgraph),
    requires: part.textsByKey("requires"),
    ui: part.object("ui"),
    extra: part.extra(),
  };
}

function readNode(part: Part): NodeEntry {
  return {
    type: part.text("type", true),
    version: part.version(),
    inputs: part.object("inputs"),
    label: part.text("label"),
    note: part.text("note"),
    always: part.flag("always"),
    mode: part.mode(),
    extra: part.extra(),
  };
}

function readParameter(part: Part): Parameter {
  return {
    input: part.text("input", true),
    label: part.text("label"),
    help: part.text("help"),
    extra: part.extra(),
  };
}

function readSubgraphInput(part: Part): SubgraphInput {
  return {
    type: part.text("type"),
    to: part.texts("to"),
    help: part.text("help"),
    extra: part.extra(),
  };
}

function readSubgraph(part: Part): Subgraph {
  return {
    inputs: part.parts("inputs", readSubgraphInput),
    outputs: part.textsByKey("outputs"),
    nodes: part.nodes(),
    extra: part.extra(),
  };
}
