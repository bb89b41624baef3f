/** The node types of last time, kept in the browser: without them no node could be drawn offline. */
import { createStore, get, set, type UseStore } from "idb-keyval";
import { ownName } from "@/api/rootPath";
import type { CompactNodeTypeList } from "@/api/schema";

const KEY = "types";

/** The server's answer with the digest that names this version of it. */
export interface KeptTypes {
  readonly value: CompactNodeTypeList;
  readonly etag: string | null;
}

let opened: UseStore | null = null;

function store(): UseStore {
  opened ??= createStore(ownName("nodegraph-types"), "types");
  return opened;
}

/** Keep what the server has answered; a browser that keeps nothing forgets it. */
export async function keepTypes(found: KeptTypes): Promise<void> {
  await set(KEY, found, store()).catch(() => undefined);
}

/** What was kept; null for nothing. */
export async function keptTypes(): Promise<KeptTypes | null> {
  const found = await get<KeptTypes>(KEY, store()).catch(() => undefined);
  return found ?? null;
}
