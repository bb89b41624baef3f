/** What is copied: a workflow as its file's text, so that it goes between tabs and into files. */
import { adoptBlocks, blocksOf, cornerOf, extract, type Fragment, insert } from "./edits/fragment";
import { exposeParameter } from "./edits/parameters";
import { isObject, type Json, readJson } from "./json";
import { changeLayout, layoutOf, type Point } from "./layout";
import { type Link, linkText, parseLink, targetOf, targetText } from "./links";
import { nodesOf, type Scope } from "./scope";
import { emptyWorkflow, readWorkflow, type Workflow, writeWorkflow } from "./workflow";

const ASIDE = 40;
/** Between nodes of a text that doesn't say where they stand. */
const APART = { x: 320, y: 0 };

/** The text of some items: their nodes, the links among them, their blocks, groups and notes. */
export function copy(workflow: Workflow, scope: Scope, items: Iterable<string>): string {
  const fragment = extract(workflow, scope, items);
  const blocks = blocksOf(workflow, fragment.nodes);
  let found: Workflow = { ...emptyWorkflow(), nodes: fragment.nodes, subgraphs: blocks };
  for (const name of blocks.keys()) {
    found = changeLayout(found, name, () => layoutOf(workflow, name));
  }
  found = changeLayout(found, null, () => fragment.layout);
  return writeWorkflow(withOuter(found, fragment.outer));
}

/** The links that were cut stand in the layout, for pasting with links. */
function withOuter(workflow: Workflow, outer: ReadonlyMap<string, Link>): Workflow {
  if (outer.size === 0) return workflow;
  const links = new Map<string, Json>([...outer].map(([id, link]) => [id, linkText(link)]));
  return { ...workflow, ui: new Map(workflow.ui).set("cut", links) };
}

export interface PasteOptions {
  /** Link to nodes outside the copy too, as the originals were, where they are there. */
  readonly links?: boolean;
}

/**
 * Put copied text in, with its top left corner at a point, or a little aside of where it was.
 *
 * Throws a `JsonFault` or `WorkflowFault` for other texts, an `EditFault` if a block would contain
 * itself.
 */
export function paste(
  workflow: Workflow,
  scope: Scope,
  text: string,
  at: Point | null,
  { links = false }: PasteOptions = {},
): { workflow: Workflow; items: readonly string[] } {
  const copied = readWorkflow(text);
  const adopted = adoptBlocks(workflow, copied, copied.nodes);
  const fragment = placed({
    nodes: adopted.nodes,
    layout: layoutOf(copied, null),
    outer: outerOf(copied),
  });
  const offset = offsetFor(
    fragment,
    at,
    nodesOf(workflow, scope).size > 0,
    adopted.workflow,
    scope,
  );
  const options = { withLinks: links };
  const {
    workflow: found,
    items,
    names,
  } = insert(adopted.workflow, scope, fragment, offset, options);
  const whole = scope === null ? withParameters(found, copied, names) : found;
  return { workflow: whole, items };
}

function outerOf({ ui }: Workflow): ReadonlyMap<string, Link> {
  const found = new Map<string, Link>();
  const cut = ui.get("cut");
  for (const [id, value] of isObject(cut) ? cut : []) {
    const link = typeof value === "string" ? parseLink(value) : null;
    if (link) found.set(id, link);
  }
  return found;
}

/** The fragment with a place for every node. */
function placed(fragment: Fragment): Fragment {
  const { layout, nodes } = fragment;
  const corner = cornerOf(fragment) ?? { x: 0, y: 0 };
  const positions = new Map<string, Point>();
  let index = 0;
  for (const name of nodes.keys()) {
    const known = layout.positions.get(name);
    const next = { x: corner.x + APART.x * index, y: corner.y + APART.y * index };
    positions.set(name, known ?? next);
    if (!known) index += 1;
  }
  return { ...fragment, layout: { ...layout, positions } };
}

function offsetFor(
  fragment: Fragment,
  at: Point | null,
  mayCover: boolean,
  workflow: Workflow,
  scope: Scope,
): Point {
  const corner = cornerOf(fragment) ?? { x: 0, y: 0 };
  if (at) return { x: at.x - corner.x, y: at.y - corner.y };
  if (!mayCover) return { x: 0, y: 0 };
  const there = [...layoutOf(workflow, scope).positions.values()];
  const added = [...fragment.layout.positions.values()];
  let by = 0;
  // Pasted again and again, each copy stands beside the one before.
  const covers = (): boolean =>
    added.some((a) => there.some((b) => a.x + by === b.x && a.y + by === b.y));
  while (covers()) by += ASIDE;
  return { x: by, y: by };
}

/** A whole workflow brings its parameters along. */
function withParameters(
  workflow: Workflow,
  copied: Workflow,
  names: ReadonlyMap<string, string>,
): Workflow {
  let found = workflow;
  for (const [name, { input, label, help }] of copied.parameters) {
    const target = targetOf(input);
    const node = target && names.get(target.node);
    if (!target || node === undefined || node === null) continue;
    const text = targetText({ node, port: target.port });
    found = exposeParameter(found, name, text, { label, help }).workflow;
  }
  return found;
}

/** Whether a text is meant as something to paste here. */
export function isWorkflowText(text: string): boolean {
  if (!text.trimStart().startsWith("{") || !text.includes('"format"')) return false;
  try {
    const json = readJson(text);
    const format = isObject(json) ? json.get("format") : undefined;
    return typeof format === "string" && format.startsWith("nodegraph/");
  } catch {
    return false;
  }
}
