/** Names and help of node types in a language other than English; fetched when one is shown. */
import { api } from "@/api/client";
import type { NodeHelps } from "@/model/compactTypes";
import type { NodeTypes } from "@/model/spec";
import { withNames } from "@/model/translatedTypes";

/** What gives node types the names of a language. */
export async function namingIn(language: string): Promise<(types: NodeTypes) => NodeTypes> {
  const names = await api.GET("/node-types/names", { params: { query: { language } } });
  return (types) => withNames(types, names);
}

export async function helpsIn(language: string): Promise<NodeHelps> {
  return (await api.GET("/node-types/help", { params: { query: { language } } })).items;
}
