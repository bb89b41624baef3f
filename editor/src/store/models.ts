/** How the library of models is looked through: what is searched, what is shown in full. */
import { create } from "zustand";
import { type ModelFilter, type ModelSort, NO_FILTER, SORTS } from "@/model/models";
import { readStored, writeStored } from "./persisted";

export type ModelsTab = "own" | "get";

export interface ModelsPanelState {
  readonly tab: ModelsTab;
  readonly filter: ModelFilter;
  readonly sort: ModelSort;
  /** The name of the model that is shown in full; null for none. */
  readonly shown: string | null;
  readonly showTab: (tab: ModelsTab) => void;
  readonly setFilter: (change: Partial<ModelFilter>) => void;
  readonly setSort: (sort: ModelSort) => void;
  readonly show: (name: string | null) => void;
}

const SORT_KEY = "nodegraph.models.sort";

function storedSort(): ModelSort {
  const stored = readStored(SORT_KEY);
  return SORTS.find((sort) => sort === stored) ?? "name";
}

export const useModels = create<ModelsPanelState>()((set, get) => ({
  tab: "own",
  filter: NO_FILTER,
  sort: storedSort(),
  shown: null,
  showTab: (tab) => set({ tab, shown: null }),
  setFilter: (change) => set({ filter: { ...get().filter, ...change } }),
  setSort: (sort) => {
    set({ sort });
    writeStored(SORT_KEY, sort);
  },
  show: (shown) => set({ shown, ...(shown === null ? {} : { tab: "own" }) }),
}));
