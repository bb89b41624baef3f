/** Names and help of node types in a language other than English; fetched when one is shown. */
import { listNodeNames, listTranslatedHelp } from "@/api/nodeTypeTexts";
import type { NodeHelps } from "@/model/compactTypes";
import type { NodeTypes } from "@/model/spec";
import { withNames } from "@/model/translatedTypes";

/** What gives node types the names of a language. */
export async function namingIn(language: string): Promise<(types: NodeTypes) => NodeTypes> {
  const names = await listNodeNames(language);
  return (types) => withNames(types, names);
}

export async function helpsIn(language: string): Promise<NodeHelps> {
  return (await listTranslatedHelp(language)).items;
}
