/** The server's packs, those of its index, and changes of them. They need the scope `admin`. */
import type { Abortable } from "./client";
import { request } from "./http";
import type { AvailablePacks, PackChange, PackEntry, PackList } from "./schema";

export function listPacks({ signal }: Abortable = {}): Promise<PackList> {
  return request("GET", "/packs", { signal });
}

export interface PackSearch {
  readonly search?: string;
  /** Only packs that have one of these node types. */
  readonly types?: readonly string[];
  /** Only packs of these names. */
  readonly names?: readonly string[];
}

export function findPacks(
  { search, types, names }: PackSearch,
  { signal }: Abortable = {},
): Promise<AvailablePacks> {
  return request("GET", "/packs/available", {
    query: { search, node_type: types, name: names },
    signal,
  });
}

/** Start an installation; `agree` accepts the costs that an earlier attempt named. */
export function installPack(name: string, agree: boolean): Promise<PackChange> {
  return request("POST", "/packs", { body: { name, agree } });
}

export function updatePack(name: string): Promise<PackChange> {
  return request("POST", `/packs/${encodeURIComponent(name)}/update`);
}

export function changePack(
  name: string,
  action: "rollback" | "enable" | "disable",
): Promise<PackEntry> {
  return request("POST", `/packs/${encodeURIComponent(name)}/${action}`);
}

export function removePack(name: string): Promise<void> {
  return request("DELETE", `/packs/${encodeURIComponent(name)}`);
}
