/** What the server has to work with: node types, models, templates. */
import { create } from "zustand";
import { api, ask } from "@/api/client";
import { OfflineFault } from "@/api/http";
import type { ModelEntry, ModelList, TemplateItem } from "@/api/schema";
import { type CompactSpec, completeSpec, type NodeHelps, withHelp } from "@/model/compactTypes";
import type { PackFrame } from "@/model/packFrames";
import { type NodeTypes, nodeTypesOf } from "@/model/spec";
import { socket } from "./connection";
import { whenIdle } from "./idle";
import { type KeptTypes, keepTypes, keptTypes } from "./keptTypes";
import { notifyFault } from "./notices";
import { answerTo, newAnswerTo, outdate, queries, question } from "./queries";
import { chosenLanguage, useSettings } from "./settings";

/** Gives node types the names of a language. */
interface Naming {
  readonly language: string;
  readonly apply: (types: NodeTypes) => NodeTypes;
}

const ENGLISH: Naming = { language: "en", apply: (types) => types };

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

const TYPES = question(["node-types"], askTypes);
const HELP = question(["node-help"], (signal) => api.GET("/node-types/help", { signal }));
const MODELS = question(["models"], (signal) => api.GET("/models", { signal }));
const TEMPLATES = question(["templates"], (signal) => api.GET("/templates", { signal }));
let helps: NodeHelps = {};
/** The node types as the server lists them, with English names. */
let listed: NodeTypes | null = null;
let naming = ENGLISH;

export const useCatalogue = create<Catalogue>()((set, get) => {
  const takeModels = ({ items, folders }: ModelList) =>
    set({ models: items, modelFolders: folders });
  return {
    types: null,
    packs: {},
    packPanels: [],
    packProblems: [],
    models: null,
    modelFolders: [],
    templates: null,
    state: "loading",
    load: () => loadTypes(answerTo({ ...TYPES, staleTime: 0 })),
    loadModels: async () => takeModels(await newAnswerTo(MODELS)),
    needModels: async () => {
      if (get().models === null) takeModels(await answerTo(MODELS));
    },
    loadTemplates: async () => set({ templates: (await newAnswerTo(TEMPLATES)).items }),
    needTemplates: async () => set({ templates: (await answerTo(TEMPLATES)).items }),
  };
});

/** Whether node types may still come, as packs are being read: the server waits for a while. */
export function isReadingPacks({ types, state }: Catalogue): boolean {
  return types === null ? state === "loading" : types.unread.size > 0;
}

type Types = Pick<Catalogue, "packs" | "packPanels" | "packProblems"> & {
  readonly types: NodeTypes;
};

/** Those that are known where the server says that they are still the same. */
async function askTypes(signal: AbortSignal): Promise<Types> {
  const known = queries.getQueryData<Types>(TYPES.queryKey);
  const { data, response } = await ask("get", "/node-types/compact", {
    params: { header: { "if-none-match": known?.types.digest || null } },
    signal,
  });
  if (known !== undefined && response.status === 304) return known;
  const found = { value: data, etag: response.headers.get("etag") };
  later(() => keepTypes(found));
  return typesOf(found);
}

function typesOf({ value, etag }: KeptTypes): Types {
  const items = (value.items as unknown as CompactSpec[]).map(completeSpec);
  return {
    types: nodeTypesOf({ ...value, items }, etag ?? ""),
    packs: value.packs,
    packPanels: value.frames.filter(({ kind }) => kind === "panel"),
    packProblems: value.problems,
  };
}

let taken: Types | null = null;

async function loadTypes(answer: Promise<Types>): Promise<void> {
  const language = chosenLanguage();
  try {
    const [found, now] = await Promise.all([answer, namingNow()]);
    // A language that was chosen meanwhile has names of its own.
    const isOther = naming.language !== now.language;
    if (language === chosenLanguage()) naming = now;
    if (found !== taken) {
      take(found);
      later(loadHelp);
    } else if (isOther && listed !== null) {
      // Names that could not be fetched last time.
      useCatalogue.setState({ types: naming.apply(listed) });
    }
    useCatalogue.setState({ state: "ready" });
  } catch (error) {
    const isLacking = () => useCatalogue.getState().types === null;
    const kept = isLacking() && error instanceof OfflineFault ? await keptTypes() : null;
    if (kept !== null && isLacking()) take(typesOf(kept));
    useCatalogue.setState({ state: isLacking() ? "failed" : "ready" });
    // That the server can't be reached is told of elsewhere, and it is asked again.
    if (!(error instanceof OfflineFault)) notifyFault(error, { key: "catalogue" });
  }
}

function take(found: Types): void {
  taken = found;
  listed = withHelp(found.types, helps);
  useCatalogue.setState({ ...found, types: naming.apply(listed) });
}

/** Load the help texts, which nothing on the canvas needs. */
async function loadHelp(): Promise<void> {
  const [types, language] = [listed, chosenLanguage()];
  let texts: NodeHelps;
  try {
    texts =
      language === "en"
        ? (await newAnswerTo(HELP)).items
        : await (await typeTexts()).helpsIn(language);
  } catch {
    // Nodes are shown without them; the next change or connection brings another try.
    return;
  }
  if (language !== chosenLanguage()) return;
  helps = texts;
  if (listed === null || listed.digest !== types?.digest) return;
  listed = withHelp(listed, helps);
  useCatalogue.setState({ types: naming.apply(listed) });
}

// Other languages

/** Code that English needs not. */
const typeTexts = () => import("./typeTexts");

/** Names in the language that is shown; where they can't be fetched, the last or English ones. */
async function namingNow(): Promise<Naming> {
  const language = chosenLanguage();
  if (language === "en") return ENGLISH;
  try {
    return { language, apply: await (await typeTexts()).namingIn(language) };
  } catch {
    return naming.language === language ? naming : ENGLISH;
  }
}

/** Give the node types the names and texts of another language. */
async function translate(): Promise<void> {
  const language = chosenLanguage();
  const now = await namingNow();
  if (language !== chosenLanguage()) return;
  naming = now;
  if (listed === null) return;
  useCatalogue.setState({ types: naming.apply(listed) });
  await loadHelp();
}

function later(task: () => unknown): void {
  whenIdle(task, 3000, 1000);
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
    // A server that was started again may answer otherwise.
    void queries.invalidateQueries();
    void outdate(TEMPLATES.queryKey);
    later(() => needTemplates().catch(quiet));
  };
  // The greeting comes before any news of changes, so nothing is loaded twice and no news is
  // missed. Where no socket opens, the canvas still needs them to show anything.
  const waiting = setTimeout(refresh, PATIENCE);
  let language = chosenLanguage();
  const stops = [
    () => clearTimeout(waiting),
    useSettings.subscribe(() => {
      if (language === chosenLanguage()) return;
      language = chosenLanguage();
      void translate();
    }),
    socket().on("welcome", refresh),
    socket().on("notice", (notice) => {
      if (notice.kind === "models.changed") loadModels().catch(quiet);
      if (notice.kind !== "node_types.changed") return;
      void loadTypes(newAnswerTo(TYPES));
      loadTemplates().catch(quiet);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** They stay as they were; the connection's state tells why. */
function quiet(): void {}

/**
 * A model for a type of node, other than those that come along if there is one; null for none.
 *
 * Args:
 *   family: Of the model that it works with, if that is known: those of other families are left out.
 */
export function modelFor(type: string, family: string | null = null): string | null {
  const models = useCatalogue.getState().models ?? [];
  const usable = models.filter(
    (model) =>
      model.node === type &&
      model.problem === null &&
      (family === null || model.family === null || model.family === family),
  );
  return usable.find(({ name }) => !name.startsWith("tiny/"))?.name ?? usable[0]?.name ?? null;
}

/** The families of the server's models, by the name that nodes give a model. */
export function modelFamilies(): ReadonlyMap<string, string> {
  const models = useCatalogue.getState().models ?? [];
  return new Map(
    models.flatMap(({ name, family }) => (family === null ? [] : [[name, family] as const])),
  );
}
