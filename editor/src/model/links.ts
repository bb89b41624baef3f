/** How a workflow writes one input: a literal, or a link to another node's output. */
import { isObject, type Json } from "./json";

/** An output of a node; the port is empty for the node's only one. */
export interface Link {
  readonly node: string;
  readonly port: string;
}

/** An input of a node. */
export interface Target {
  readonly node: string;
  readonly port: string;
}

/** Whether an input is meant as a link, be it a good one or not. */
export function isLink(value: Json | undefined): boolean {
  return isObject(value) && value.has("from");
}

/** The link that an input is; null for a literal and for a link that can't be read. */
export function linkOf(value: Json | undefined): Link | null {
  if (!isObject(value)) return null;
  const from = value.get("from");
  return typeof from === "string" ? parseLink(from) : null;
}

/** Read "node.port" or "node". */
export function parseLink(text: string): Link | null {
  const dot = text.indexOf(".");
  if (dot < 0) return text === "" ? null : { node: text, port: "" };
  const link = { node: text.slice(0, dot), port: text.slice(dot + 1) };
  return link.node === "" || link.port === "" || link.port.includes(".") ? null : link;
}

export function linkText(link: Link): string {
  return link.port === "" ? link.node : `${link.node}.${link.port}`;
}

export function linkJson(link: Link): Json {
  return new Map([["from", linkText(link)]]);
}

/** The literal that an input is; undefined for a link and for nothing. */
export function literalOf(value: Json | undefined): Json | undefined {
  if (isLink(value)) return undefined;
  if (isObject(value) && value.size === 1 && value.has("value")) return value.get("value");
  return value;
}

/** A literal as an input writes it: one that looks like a link is wrapped. */
export function literalJson(value: Json): Json {
  if (!isObject(value)) return value;
  const isAmbiguous = value.has("from") || (value.size === 1 && value.has("value"));
  return isAmbiguous ? new Map([["value", value]]) : value;
}

/** Read "node.input", which names one input of one node. */
export function targetOf(text: string): Target | null {
  const link = parseLink(text);
  return link && link.port !== "" ? link : null;
}

export function targetText(target: Target): string {
  return `${target.node}.${target.port}`;
}

export function sameLink(a: Link | null, b: Link | null): boolean {
  return a === b || (a !== null && b !== null && a.node === b.node && a.port === b.port);
}
