/**
 * A workflow as a Python script that builds the same with the library and runs it.
 *
 * A workflow may come from anywhere and the script is run: whatever it says gets into the script
 * only as a quoted text, or as a name made of letters, digits and underscores.
 */
import { edgesInto } from "./graph";
import { isList, isObject, type Json, type JsonObject, writeJson } from "./json";
import { isLink, linkOf, literalOf, targetOf } from "./links";
import { defaultOf, inputOf, type NodeTypes, typeOf } from "./spec";
import { NOTHING, type NodeEntry, type Workflow, workflowToJson } from "./workflow";

/** The script's text. With `types` the defaults of parameters are shown, too. */
export function exportPython(workflow: Workflow, types: NodeTypes | null = null): string {
  const script = new Script(workflow, types);
  return script.text();
}

const WIDTH = 96;
const INDENT = "    ";

class Script {
  private readonly names = new Names();
  private readonly variables = new Map<string, string>();
  private readonly parameters: readonly ScriptParameter[];
  private readonly order: readonly string[];
  private readonly func: string;

  constructor(
    private readonly workflow: Workflow,
    types: NodeTypes | null,
  ) {
    this.func = this.names.take(workflow.title || "build", "build");
    this.parameters = parametersOf(workflow, types, this.names);
    this.order = inOrder(workflow.nodes);
    for (const name of usedNodes(workflow)) this.variables.set(name, this.names.take(name, "node"));
  }

  text(): string {
    const sections = [
      this.head(),
      "from nodegraph import Workflow, run",
      "",
      "",
      ...this.signature(),
      `${INDENT}"""${docText(this.workflow.description || "The workflow.")}"""`,
      ...indented(this.body()),
      "",
      "",
      'if __name__ == "__main__":',
      `${INDENT}result = run(${this.func}())`,
      `${INDENT}for file in result.files:`,
      `${INDENT}${INDENT}print(file.path)`,
      "",
    ];
    return sections.join("\n");
  }

  private head(): string {
    const title = docText(this.workflow.title || "A workflow");
    const packs = [...this.workflow.requires].map(([pack, version]) =>
      docText(`${pack} ${version}`),
    );
    const lines = ["Relative paths of files start in the folder in which the script is run."];
    if (packs.length > 0) lines.push(`Needs the packs ${packs.join(", ")}.`);
    if (holdsUpload(this.workflow)) {
      lines.push(
        "Give paths of your own in place of those that begin with upload: they are a server's.",
      );
    }
    return `"""${title.replace(/[.!?]?$/, (end) => end || ".")}\n\n${lines.join("\n")}\n"""\n`;
  }

  private signature(): readonly string[] {
    if (this.parameters.length === 0) return [`def ${this.func}() -> Workflow:`];
    return [
      `def ${this.func}(`,
      ...this.parameters.map(
        (item) => `${INDENT}${item.variable}=${python(item.value, INDENT.length)},`,
      ),
      ") -> Workflow:",
    ];
  }

  private body(): readonly string[] {
    const late: string[] = [];
    const added = new Set<string>();
    const lines = [...this.begin()];
    for (const name of this.order) {
      const entry = this.workflow.nodes.get(name);
      if (!entry) continue;
      lines.push(...this.add(name, entry, added, late));
      added.add(name);
    }
    return [...lines, ...late, ...this.reorder(), ...this.given(), "return workflow"];
  }

  private begin(): readonly string[] {
    const json = new Map(workflowToJson({ ...this.workflow, nodes: new Map(), ui: NOTHING }));
    json.delete("nodes");
    if ([...json.keys()].every((key) => key === "format" || key === "title")) {
      return [`workflow = Workflow.new(${python(this.workflow.title, 0)})`];
    }
    return [`workflow = Workflow.from_dict(${python(json, INDENT.length)})`];
  }

  private add(
    name: string,
    entry: NodeEntry,
    added: ReadonlySet<string>,
    late: string[],
  ): readonly string[] {
    const inputs: [string, string][] = [];
    for (const [port, written] of entry.inputs) {
      const value = this.input(name, port, written, added);
      if (value === null)
        late.push(`${nodeText(name)}.inputs[${quote(port)}] = ${python(written, 8)}`);
      else inputs.push([port, value]);
    }
    const variable = this.variables.get(name);
    const call = callText("workflow.add", [quote(name), quote(entry.type)], inputs);
    return [variable === undefined ? call : `${variable} = ${call}`, ...attributes(name, entry)];
  }

  /** What an input is given; null if that can only be said once all nodes are there. */
  private input(
    node: string,
    port: string,
    written: Json,
    added: ReadonlySet<string>,
  ): string | null {
    const link = linkOf(written);
    if (link) {
      const variable = added.has(link.node) ? this.variables.get(link.node) : undefined;
      if (variable === undefined) return null;
      return link.port === "" ? variable : `${variable}.output(${quote(link.port)})`;
    }
    if (isLink(written)) return null;
    const parameter = this.parameters.find((item) => item.node === node && item.port === port);
    if (parameter?.isWritten) return parameter.variable;
    const literal = literalOf(written) ?? null;
    // What looks like a link would be one in Python, too.
    return python(isLink(literal) ? written : literal, 2 * INDENT.length + port.length);
  }

  private reorder(): readonly string[] {
    const names = [...this.workflow.nodes.keys()];
    if (names.every((name, index) => name === this.order[index])) return [];
    const list = python(names, INDENT.length);
    return [`workflow.nodes = {name: workflow.nodes[name] for name in ${list}}`];
  }

  /** Parameters whose inputs the workflow leaves at their defaults. */
  private given(): readonly string[] {
    return this.parameters
      .filter((item) => !item.isWritten)
      .flatMap((item) => [
        `if ${item.variable} is not None:`,
        `${INDENT}workflow = workflow.with_inputs({${quote(`${item.node}.${item.port}`)}: ${item.variable}})`,
      ]);
  }
}

function nodeText(name: string): string {
  return `workflow.nodes[${quote(name)}]`;
}

function attributes(name: string, entry: NodeEntry): readonly string[] {
  const found: string[] = [];
  const set = (key: string, value: string) => found.push(`${nodeText(name)}.${key} = ${value}`);
  if (entry.version !== null) set("version", String(entry.version));
  if (entry.label !== "") set("label", python(entry.label, 40));
  if (entry.note !== "") set("note", python(entry.note, 40));
  if (entry.always) set("always", "True");
  if (entry.mode !== null) set("mode", quote(entry.mode));
  for (const [key, value] of entry.extra) {
    found.push(`${nodeText(name)}.extra[${quote(key)}] = ${python(value, 60)}`);
  }
  return found;
}

interface ScriptParameter {
  readonly variable: string;
  readonly node: string;
  readonly port: string;
  readonly value: Json;
  /** Whether the workflow itself gives the input a value. */
  readonly isWritten: boolean;
}

function parametersOf(
  workflow: Workflow,
  types: NodeTypes | null,
  names: Names,
): readonly ScriptParameter[] {
  const found: ScriptParameter[] = [];
  for (const [name, parameter] of workflow.parameters) {
    const target = targetOf(parameter.input);
    const entry = target && workflow.nodes.get(target.node);
    if (!target || !entry) continue;
    const written = entry.inputs.get(target.port);
    const isTaken = found.some((item) => item.node === target.node && item.port === target.port);
    if (isTaken || isLink(written)) continue;
    const isWritten = written !== undefined && !isMutable(written);
    if (written !== undefined && !isWritten) continue;
    const value = (isWritten ? literalOf(written) : null) ?? null;
    const needed = types && isRequired(types, workflow, entry, target.port);
    if (needed === true && !isWritten) continue;
    found.push({ variable: names.take(name, "parameter"), ...target, value, isWritten });
  }
  return found;
}

/** Lists and objects as defaults of a Python function are shared by its calls. */
function isMutable(written: Json): boolean {
  const value = literalOf(written);
  return isList(value) || isObject(value);
}

function isRequired(types: NodeTypes, workflow: Workflow, entry: NodeEntry, port: string): boolean {
  const spec = typeOf(types, workflow, entry);
  const input = spec && inputOf(spec, port);
  return input !== null && defaultOf(input) === undefined;
}

function usedNodes(workflow: Workflow): ReadonlySet<string> {
  const used = new Set<string>();
  for (const [name, entry] of workflow.nodes) {
    for (const edge of edgesInto(name, entry)) {
      if (workflow.nodes.has(edge.from.node)) used.add(edge.from.node);
    }
  }
  return used;
}

/** Node names, each behind those it is linked to, else in the file's order; circles at the end. */
function inOrder(nodes: ReadonlyMap<string, NodeEntry>): readonly string[] {
  const order: string[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (name: string): void => {
    const entry = nodes.get(name);
    if (!entry || state.has(name)) return;
    state.set(name, "open");
    for (const edge of edgesInto(name, entry)) visit(edge.from.node);
    state.set(name, "done");
    order.push(name);
  };
  for (const name of nodes.keys()) visit(name);
  return order;
}

function holdsUpload(workflow: Workflow): boolean {
  return writeJson(workflowToJson(workflow)).includes('"upload:');
}

// Python's text

const RESERVED = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except " +
    "finally for from global if import in is lambda nonlocal not or pass raise return try while yield " +
    "with match case type print run workflow Workflow result file setattr name"
  ).split(" "),
);

/** Python names, each given once. */
class Names {
  private readonly taken = new Set(RESERVED);

  take(text: string, otherwise: string): string {
    const plain = text.normalize("NFKD").replace(/\p{Mn}/gu, "");
    const snake = plain
      .replace(/[^A-Za-z0-9]+/g, "_")
      .replace(/^_+|_+$/g, "")
      .toLowerCase()
      .slice(0, 48);
    const base = snake === "" ? otherwise : /^\d/.test(snake) ? `${otherwise}_${snake}` : snake;
    let name = base;
    for (let count = 2; this.taken.has(name); count += 1) name = `${base}_${count}`;
    this.taken.add(name);
    return name;
  }
}

/** A text as one Python literal in ASCII quotes. */
function quote(text: string): string {
  // JSON's escapes are Python's, too; control characters and halves of pairs are escaped in both.
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What stands between triple quotes: no quote and no backslash can end or change it. */
function docText(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/[\\"\p{Cc}\p{Cf}\p{Surrogate}]/gu, (letter) => (letter === '"' ? "'" : " "))
    .trim()
    .slice(0, 400);
}

/** A value as a Python expression that begins so far from the left. */
function python(value: Json, column: number): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return pythonText(value, column);
  if (isList(value))
    return brackets(
      "[",
      value.map((item) => python(item, column + 4)),
      "]",
      column,
    );
  if (isObject(value)) return pythonDict(value, column);
  return writeJson(value).trim();
}

function pythonDict(value: JsonObject, column: number): string {
  const members = [...value].map(([key, item]) => `${quote(key)}: ${python(item, column + 4)}`);
  return brackets("{", members, "}", column);
}

function brackets(open: string, items: readonly string[], close: string, column: number): string {
  const line = `${open}${items.join(", ")}${close}`;
  const fits = column + line.length <= WIDTH && !items.some((item) => item.includes("\n"));
  if (fits || items.length === 0) return line;
  return `${open}\n${indented(items.map((item) => `${item},`)).join("\n")}\n${close}`;
}

/** Long texts of several lines stand line by line, in brackets. */
function pythonText(text: string, column: number): string {
  const whole = quote(text);
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  if (column + whole.length <= WIDTH || lines.length < 2) return whole;
  return `(\n${indented(lines.map(quote)).join("\n")}\n)`;
}

function callText(
  name: string,
  values: readonly string[],
  named: readonly (readonly [string, string])[],
): string {
  // All or none, so that the inputs keep their order.
  const areNames = named.every(
    ([port]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(port) && !KEYWORDS.has(port),
  );
  const inputs = named.map(([port, value]) =>
    areNames ? `${port}=${value}` : `${quote(port)}: ${value}`,
  );
  const all = [...values, ...(areNames ? inputs : [`**{${inputs.join(", ")}}`])];
  const line = `${name}(${all.join(", ")})`;
  if (line.length <= WIDTH - 24 && !line.includes("\n")) return line;
  return `${name}(\n${indented(all.map((item) => `${item},`)).join("\n")}\n)`;
}

const KEYWORDS = new Set([...RESERVED].slice(0, 35));

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.replace(/^(?=.)/gm, INDENT));
}
