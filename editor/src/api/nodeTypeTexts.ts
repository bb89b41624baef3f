/** Texts of node types in a language other than English. */
import type { Abortable } from "./client";
import { request } from "./http";
import type { NodeTypeHelpList, NodeTypeNames } from "./schema";

/** Names of node types, categories and ports; those without a translation are missing. */
export function listNodeNames(
  language: string,
  { signal }: Abortable = {},
): Promise<NodeTypeNames> {
  return request("GET", "/node-types/names", { query: { language }, signal });
}

/** Help texts of all node types, in English where there is no translation. */
export function listTranslatedHelp(
  language: string,
  { signal }: Abortable = {},
): Promise<NodeTypeHelpList> {
  return request("GET", "/node-types/help", { query: { language }, signal });
}
