/** Models that can be got: what a search of other sites finds, and plans. */
import { create } from "zustand";
import { api, type QueryOf } from "@/api/client";
import type { DownloadOfferEntry, DownloadRequest, OfferedModelEntry } from "@/api/schema";
import { faultText } from "./notices";

export interface ModelSearch extends Pick<QueryOf<"get", "/models/search">, "kind" | "source"> {
  readonly text: string;
}

export interface PlanView {
  readonly request: DownloadRequest;
  readonly offer: DownloadOfferEntry | null;
  /** Why it can't be planned, in words. */
  readonly problem: string | null;
}

export interface ModelOffers {
  readonly search: ModelSearch;
  /** Null while nothing was searched. */
  readonly hits: readonly OfferedModelEntry[] | null;
  readonly isSearching: boolean;
  readonly searchProblem: string | null;
  /** What a download would bring, which is looked at before it starts; null for none. */
  readonly plan: PlanView | null;
  /** Search other sites; an address is planned instead. */
  readonly find: (search: ModelSearch) => Promise<void>;
  readonly look: (request: DownloadRequest) => Promise<void>;
  readonly closePlan: () => void;
}

let question = 0;
let planned = 0;

export const useModelOffers = create<ModelOffers>()((set, get) => ({
  search: { text: "" },
  hits: null,
  isSearching: false,
  searchProblem: null,
  plan: null,
  find: async (search) => {
    const mine = ++question;
    set({ search, plan: null, searchProblem: null });
    const text = search.text.trim();
    if (text === "") {
      set({ hits: null, isSearching: false });
      return;
    }
    if (isReference(text)) {
      set({ hits: null, isSearching: false });
      await get().look({ source: text });
      return;
    }
    set({ isSearching: true });
    try {
      const query = { ...search, text };
      const { items: hits } = await api.GET("/models/search", { params: { query } });
      if (mine === question) set({ hits, isSearching: false });
    } catch (fault) {
      if (mine === question)
        set({ hits: null, isSearching: false, searchProblem: faultText(fault) });
    }
  },
  look: async (request) => {
    const mine = ++planned;
    set({ plan: { request, offer: null, problem: null } });
    try {
      const offer = await api.POST("/models/downloads/plan", { body: request });
      if (mine === planned && get().plan !== null) set({ plan: { request, offer, problem: null } });
    } catch (fault) {
      if (mine === planned && get().plan !== null)
        set({ plan: { request, offer: null, problem: faultText(fault) } });
    }
  },
  closePlan: () => {
    planned += 1;
    set({ plan: null });
  },
}));

const REFERENCES = [
  /^https?:\/\/\S+$/i,
  /^(civitai|hf|sha256):\S+$/i,
  /^[0-9a-f]{64}$/i,
  // A repository, with or without a file in it.
  /^[\w.-]+\/[\w.-]+(@[\w./-]+)?([:/]\S+)?$/,
];

/** Whether a text names one model rather than words to search for. */
export function isReference(text: string): boolean {
  return REFERENCES.some((form) => form.test(text));
}
