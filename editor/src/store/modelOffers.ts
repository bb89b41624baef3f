/** Models that can be got: what a search of other sites finds, and plans. */
import { create } from "zustand";
import { api, type QueryOf } from "@/api/client";
import type { DownloadOfferEntry, DownloadRequest } from "@/api/schema";
import { faultText } from "./notices";
import { queries } from "./queries";

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
  /** What a download would bring, which is looked at before it starts; null for none. */
  readonly plan: PlanView | null;
  /** Search other sites; an address is planned instead. */
  readonly find: (search: ModelSearch) => Promise<void>;
  readonly look: (request: DownloadRequest) => Promise<void>;
  readonly closePlan: () => void;
}

/** What other sites have for a search: nothing is asked for an address or for no words. */
export function offersOf(search: ModelSearch) {
  const query = { ...search, text: search.text.trim() };
  return {
    queryKey: ["offered models", query],
    queryFn: ({ signal }: { readonly signal: AbortSignal }) =>
      api.GET("/models/search", { params: { query }, signal }),
    enabled: query.text !== "" && !isReference(query.text),
  };
}

let planned = 0;

export const useModelOffers = create<ModelOffers>()((set, get) => ({
  search: { text: "" },
  plan: null,
  find: async (search) => {
    set({ search, plan: null });
    const text = search.text.trim();
    if (isReference(text)) await get().look({ source: text });
    // Searched for once more, it is asked once more.
    else await queries.invalidateQueries({ queryKey: offersOf(search).queryKey });
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
