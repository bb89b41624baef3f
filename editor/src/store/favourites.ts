/** Node types that somebody has starred, in this browser, in the order in which that was done. */
import { create } from "zustand";
import { ownName } from "@/api/rootPath";
import { readStored, writeStored } from "./persisted";

const KEY = "nodegraph.favourite-types";

interface Favourites {
  readonly types: readonly string[];
}

function stored(): readonly string[] {
  const found = readStored(KEY);
  return Array.isArray(found) ? found.filter((type) => typeof type === "string") : [];
}

export const useFavourites = create<Favourites>()(() => ({ types: stored() }));

// Other tabs of the browser have the same ones.
addEventListener("storage", ({ key }) => {
  if (key === ownName(KEY)) useFavourites.setState({ types: stored() });
});

export function favouriteTypes(): readonly string[] {
  return useFavourites.getState().types;
}

/** Star a node type, or take its star away. */
export function toggleFavourite(type: string): void {
  const { types } = useFavourites.getState();
  const next = types.includes(type) ? types.filter((other) => other !== type) : [...types, type];
  useFavourites.setState({ types: next });
  writeStored(KEY, next);
}
