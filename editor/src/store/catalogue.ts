/** What the server has to work with: node types, models, templates. */
import { create } from "zustand";
import { api, ask } from "@/api/client";
import { OfflineFault } from "@/api/http";
import type { ModelEntry, TemplateItem } from "@/api/schema";
import { type CompactSpec, completeSpec, type NodeHelps, withHelp } from "@/model/compactTypes";
import type { PackFrame } from "@/model/packFrames";
import { type NodeTypes, nodeTypesOf } from "@/model/spec";
import { socket } from "./connection";
import { notifyFault } from "./notices";

export interface Catalogue {
  /** Null until they were loaded. */
  readonly types: NodeTypes | null;
  /** Versions of the node packs by name. */
  readonly packs: Readonly<Record<string, string>>;
  /** Panels that packs bring. */
  readonly packPanels: readonly PackFrame[];
  /** What is wrong with packs. */
  readonly packProblems: readonly string[];
  readonly models: readonly ModelEntry[] | null;
  /** Where to put more models; only those who may administer are told. */
  readonly modelFolders: readonly string[];
  readonly templates: readonly TemplateItem[] | null;
  readonly state: "loading" | "ready" | "failed";
  /** Load what has changed. */
  readonly load: () => Promise<void>;
  /** Load the models anew. */
  readonly loadModels: () => Promise<void>;
  /** Load the models unless they are there. */
  readonly needModels: () => Promise<void>;
  readonly loadTemplates: () => Promise<void>;
  /** Load the templates unless they are there, and from after the last greeting. */
  readonly needTemplates: () => Promise<void>;
}

let loading: Promise<void> | null = null;
let isOutdated = false;
let helps: NodeHelps = {};
/** Whether the last request of templates is from before the last greeting. */
let areTemplatesOld = true;

interface Loader {
  /** Ask anew. */
  readonly load: () => Promise<void>;
  /** Join the request that is under way, or ask. */
  readonly need: () => Promise<void>;
}

/** Requests of one list, of which the newest counts: an older answer may come after it. */
function loaderOf<T>(ask: () => Promise<T>, take: (found: T) => void): Loader {
  let pending: Promise<void> | null = null;
  const load = () => {
    const own = ask()
      .then((found) => {
        if (pending === own) take(found);
      })
      .finally(() => {
        if (pending === own) pending = null;
      });
    pending = own;
    return own;
  };
  return { load, need: () => pending ?? load() };
}

const modelLoader = loaderOf(
  () => api.GET("/models"),
  ({ items, folders }) => useCatalogue.setState({ models: items, modelFolders: folders }),
);
const templateLoader = loaderOf(
  () => {
    areTemplatesOld = false;
    return api.GET("/templates");
  },
  ({ items }) => useCatalogue.setState({ templates: items }),
);

export const useCatalogue = create<Catalogue>()((_set, get) => ({
  types: null,
  packs: {},
  packPanels: [],
  packProblems: [],
  models: null,
  modelFolders: [],
  templates: null,
  state: "loading",
  load: () => {
    loading ??= loadTypes().finally(() => {
      loading = null;
      // What changed while it was being loaded.
      if (isOutdated) void get().load();
      isOutdated = false;
    });
    return loading;
  },
  loadModels: modelLoader.load,
  needModels: async () => {
    if (get().models === null) await modelLoader.need();
  },
  loadTemplates: templateLoader.load,
  needTemplates: async () => {
    if (areTemplatesOld) await templateLoader.load();
    else if (get().templates === null) await templateLoader.need();
  },
}));

/** Whether node types may still come, as packs are being read: the server waits for a while. */
export function isReadingPacks({ types, state }: Catalogue): boolean {
  return types === null ? state === "loading" : types.unread.size > 0;
}

async function loadTypes(): Promise<void> {
  const { types } = useCatalogue.getState();
  try {
    // The server says 304 where they are still those of the tag.
    const header = { "if-none-match": types?.digest || null };
    const { data: value, response } = await ask("get", "/node-types/compact", {
      params: { header },
    });
    if (response.status !== 304) {
      const etag = response.headers.get("etag");
      const items = (value.items as unknown as CompactSpec[]).map(completeSpec);
      useCatalogue.setState({
        types: withHelp(nodeTypesOf({ ...value, items }, etag ?? ""), helps),
        packs: value.packs,
        packPanels: value.frames.filter(({ kind }) => kind === "panel"),
        packProblems: value.problems,
      });
      whenIdle(loadHelp);
    }
    useCatalogue.setState({ state: "ready" });
  } catch (error) {
    if (useCatalogue.getState().types === null) useCatalogue.setState({ state: "failed" });
    // That the server can't be reached is told of elsewhere, and it is asked again.
    if (!(error instanceof OfflineFault)) notifyFault(error, { key: "catalogue" });
  }
}

/** Load the help texts, which nothing on the canvas needs. */
async function loadHelp(): Promise<void> {
  const { types } = useCatalogue.getState();
  try {
    helps = (await api.GET("/node-types/help")).items;
  } catch {
    // Nodes are shown without them; the next change or connection brings another try.
    return;
  }
  const now = useCatalogue.getState().types;
  if (now !== null && now.digest === types?.digest)
    useCatalogue.setState({ types: withHelp(now, helps) });
}

/** Run a task once the page has nothing else to do. */
function whenIdle(task: () => unknown): void {
  if ("requestIdleCallback" in window) window.requestIdleCallback(() => task(), { timeout: 3000 });
  else setTimeout(task, 1000);
}

/** Milliseconds after which the lists are loaded although the server has not greeted yet. */
const PATIENCE = 1500;

/** Load everything, and load anew what changes; gives what ends it. */
export function startCatalogue(): () => void {
  const { load, loadModels, loadTemplates, needTemplates } = useCatalogue.getState();
  const refresh = () => {
    clearTimeout(waiting);
    void load();
    loadModels().catch(quiet);
    areTemplatesOld = true;
    whenIdle(() => needTemplates().catch(quiet));
  };
  // The greeting comes before any news of changes, so nothing is loaded twice and no news is
  // missed. Where no socket opens, the canvas still needs them to show anything.
  const waiting = setTimeout(refresh, PATIENCE);
  const stops = [
    () => clearTimeout(waiting),
    socket().on("welcome", refresh),
    socket().on("notice", (notice) => {
      if (notice.kind === "models.changed") loadModels().catch(quiet);
      if (notice.kind !== "node_types.changed") return;
      isOutdated = loading !== null;
      void load();
      loadTemplates().catch(quiet);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** They stay as they were; the connection's state tells why. */
function quiet(): void {}

/** A model for a type of node, other than those that come along if there is one; null for none. */
export function modelFor(type: string): string | null {
  const models = useCatalogue.getState().models ?? [];
  const usable = models.filter(({ node, problem }) => node === type && problem === null);
  return usable.find(({ name }) => !name.startsWith("tiny/"))?.name ?? usable[0]?.name ?? null;
}

/** The families of the server's models, by the name that nodes give a model. */
export function modelFamilies(): ReadonlyMap<string, string> {
  const models = useCatalogue.getState().models ?? [];
  return new Map(
    models.flatMap(({ name, family }) => (family === null ? [] : [[name, family] as const])),
  );
}
