/**
 * What can be selected on the canvas, by id: a node by its name, and, as "/" can't be in names,
 * "group/<id>", "note/<id>", "edge/<node.port>", "reroute/<node.port>/<index>" and, inside a
 * block, "end/inputs" and "end/outputs", with links from and to these as
 * "end/inputs/<port>/<node.port>" and "end/outputs/<port>/<node.port>".
 */
export type End = "inputs" | "outputs";

export type Item =
  | { readonly kind: "node"; readonly name: string }
  | { readonly kind: "group"; readonly id: string }
  | { readonly kind: "note"; readonly id: string }
  | { readonly kind: "edge"; readonly id: string }
  | { readonly kind: "reroute"; readonly edge: string; readonly index: number }
  | { readonly kind: "end"; readonly end: End }
  | EndLink;

/** A link between a block's own port and a node inside. */
export interface EndLink {
  readonly kind: "endLink";
  readonly end: End;
  readonly port: string;
  /** The input or output inside, as files write it. */
  readonly target: string;
}

export function itemOf(id: string): Item {
  const slash = id.indexOf("/");
  if (slash < 0) return { kind: "node", name: id };
  const [kind, rest] = [id.slice(0, slash), id.slice(slash + 1)];
  if (kind === "group" || kind === "note" || kind === "edge") return { kind, id: rest };
  if (kind === "end") return endOf(rest);
  const last = rest.lastIndexOf("/");
  return { kind: "reroute", edge: rest.slice(0, last), index: Number(rest.slice(last + 1)) };
}

function endOf(rest: string): Item {
  const first = rest.indexOf("/");
  const end = rest.startsWith("outputs") ? "outputs" : "inputs";
  if (first < 0) return { kind: "end", end };
  // Names of nodes and their ports have no "/" in them.
  const last = rest.lastIndexOf("/");
  const [port, target] = [rest.slice(first + 1, last), rest.slice(last + 1)];
  return { kind: "endLink", end, port, target };
}

export function groupItem(id: string): string {
  return `group/${id}`;
}

export function noteItem(id: string): string {
  return `note/${id}`;
}

export function edgeItem(edge: string): string {
  return `edge/${edge}`;
}

export function rerouteItem(edge: string, index: number): string {
  return `reroute/${edge}/${index}`;
}

export function endItem(end: End): string {
  return `end/${end}`;
}

export function endLinkItem(end: End, port: string, target: string): string {
  return `end/${end}/${port}/${target}`;
}

/** The node names among some items. */
export function nodeNames(items: Iterable<string>): readonly string[] {
  return [...items].filter((id) => !id.includes("/"));
}
