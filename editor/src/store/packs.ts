/** Packs of the server: what is installed, what an index offers, and the change that runs. */
import { keepPreviousData } from "@tanstack/react-query";
import { create } from "zustand";
import { api } from "@/api/client";
import type { AvailablePack, PackChange, PackEntry, PackList } from "@/api/schema";
import { t } from "@/i18n";
import { useCatalogue } from "./catalogue";
import { socket } from "./connection";
import { faultText, notify, notifyFault } from "./notices";
import { answerTo, newAnswerTo, question } from "./queries";

export type PackAction = PackChange["action"];

export interface Packs {
  /** Null until they are read. */
  readonly items: readonly PackEntry[] | null;
  readonly hasIndex: boolean;
  /** The change that runs or ran last. */
  readonly change: PackChange | null;
  /** Why they could not be read, in words. */
  readonly problem: string | null;
  /** Packs of the index by what lacks: a pack's name or a node type; null if there is none. */
  readonly providers: ReadonlyMap<string, AvailablePack | null>;
  readonly load: () => Promise<void>;
  /** Ask which packs bring what lacks, of the index and of what is installed. What was asked before
   * isn't asked again. */
  readonly provide: (names: readonly string[], types: readonly string[]) => Promise<void>;
  readonly install: (name: string, agree?: boolean) => Promise<void>;
  readonly act: (name: string, action: Exclude<PackAction, "install">) => Promise<void>;
}

const INSTALLED = question(["packs"], (signal) => api.GET("/packs", { signal }));

/** What the index offers for some words. */
export function offersFor(words: string) {
  const query = { search: words.trim() };
  return {
    queryKey: ["offered packs", query],
    queryFn: ({ signal }: { readonly signal: AbortSignal }) =>
      api.GET("/packs/available", { params: { query }, signal }),
    // What was offered before stays until there is more.
    placeholderData: keepPreviousData,
  };
}

export const usePacks = create<Packs>()((set, get) => ({
  items: null,
  hasIndex: false,
  change: null,
  problem: null,
  providers: new Map(),
  load: () => list(newAnswerTo(INSTALLED)),
  provide: async (names, types) => {
    const { providers } = get();
    const left = [...names, ...types].filter((each) => !providers.has(each));
    if (left.length === 0) return;
    // Noted before the answer: what is asked meanwhile is asked once.
    set({ providers: new Map([...providers, ...left.map((each) => [each, null] as const)]) });
    if (get().items === null) void list(answerTo(INSTALLED));
    try {
      const query = {
        name: names.filter((each) => left.includes(each)),
        node_type: types.filter((each) => left.includes(each)),
      };
      const { items } = await api.GET("/packs/available", { params: { query } });
      const known = left.map((each) => [each, providerOf(items, each)] as const);
      set({ providers: new Map([...get().providers, ...known]) });
    } catch {
      // The problem itself is shown anyway; without an answer it has no button.
    }
  },
  install: async (name, agree = false) => {
    await begun(set, () => api.POST("/packs", { body: { name, agree } }));
  },
  act: async (name, action) => {
    const at = { params: { path: { name } } };
    if (action === "update") {
      await begun(set, () => api.POST("/packs/{name}/update", at));
      return;
    }
    try {
      await (action === "remove"
        ? api.DELETE("/packs/{name}", at)
        : api.POST(`/packs/{name}/${action}`, at));
    } catch (fault) {
      notifyFault(fault, { title: t("packs.failed", { name }), key: "packs" });
    }
    await get().load();
  },
}));

async function list(answer: Promise<PackList>): Promise<void> {
  try {
    const { items, has_index: hasIndex, change } = await answer;
    usePacks.setState({ items, hasIndex, change, problem: null });
  } catch (fault) {
    usePacks.setState({ problem: faultText(fault) || null });
  }
}

async function begun(
  set: (state: Partial<Packs>) => void,
  start: () => Promise<PackChange>,
): Promise<void> {
  try {
    set({ change: await start() });
  } catch (fault) {
    notifyFault(fault, { title: t("packs.notStarted"), key: "packs" });
  }
}

function providerOf(items: readonly AvailablePack[], lacking: string): AvailablePack | null {
  const prefix = prefixOf(lacking);
  return (
    items.find(({ name }) => name === prefix) ??
    items.find(({ node_types: types }) => types.includes(lacking)) ??
    null
  );
}

/** The name of the pack that a node type, or the name of a pack, stands for. */
function prefixOf(lacking: string): string {
  return lacking.includes(":") ? lacking.slice(0, lacking.lastIndexOf(":")) : lacking;
}

/** The installed pack that brings what lacks once it is turned on; null if there is none. */
export function turnedOff({ items }: Packs, lacking: readonly string[]): PackEntry | null {
  const names = new Set(lacking.map(prefixOf));
  return items?.find(({ name, enabled }) => !enabled && names.has(name)) ?? null;
}

/** The change of a pack that runs; null if there is none. */
export function runningChange({ change }: Packs, name: string): PackChange | null {
  return change?.name === name && change.state === "running" ? change : null;
}

/** The words for what happens. */
export function stepOf({ action, step }: PackChange): string {
  const fetches = action === "install" || action === "update";
  if (!fetches && step !== "node types") return t("packs.step.change");
  return step === "" ? t("packs.step.files") : t(`packs.step.${step.split(" ")[0]}`);
}

/** Follow the server's changes of packs; gives what ends it. */
export function startPacks(): () => void {
  return socket().on("notice", ({ kind, data }) => {
    if (kind === "packs.changed") void follow(data as Told);
  });
}

type Told = Pick<PackChange, "name" | "action" | "state" | "step">;

async function follow(told: Told): Promise<void> {
  const { change, items, load } = usePacks.getState();
  const isKnown = change?.name === told.name && change.action === told.action;
  if (isKnown) usePacks.setState({ change: { ...change, ...told } });
  else if (items !== null && told.state === "running") {
    // Of a switch or another administrator; the server changes one pack at a time.
    const started = { ...told, costs: [], notes: [], error: null, started: Date.now() / 1000 };
    usePacks.setState({ change: started });
  }
  if (told.state === "running") return;
  const isWatched = isKnown || items !== null;
  if (!isWatched) return;
  await load();
  if (told.state !== "done") return;
  usePacks.setState({ providers: new Map() });
  await useCatalogue.getState().load();
  if (isKnown && (told.action === "install" || told.action === "update")) {
    const key = told.action === "install" ? "packs.installed" : "packs.updated";
    notify({ kind: "success", title: t(key, { name: told.name }), key: "packs" });
  }
}
