/** Downloads of models: the server does them, so they go on while no page is open. */
import { create } from "zustand";
import { api } from "@/api/client";
import type { DownloadRequest, ModelDownloadEntry } from "@/api/schema";
import { t } from "@/i18n";
import { useCatalogue } from "./catalogue";
import { socket } from "./connection";
import { useModels } from "./models";
import { faultText, notify, notifyFault } from "./notices";
import { useUi } from "./ui";

export interface Downloads {
  /** The newest first. */
  readonly items: readonly ModelDownloadEntry[];
  /** Ids by what was asked for here, such as a card of the starter catalogue. */
  readonly asked: ReadonlyMap<string, string>;
  /** Why what was asked for didn't start, by the same keys. */
  readonly refused: ReadonlyMap<string, string>;
  readonly starting: ReadonlySet<string>;
  readonly load: () => Promise<void>;
  /** Start one, or go on with that of the same model; `key` says what it is for. */
  readonly start: (key: string, request: DownloadRequest) => Promise<void>;
  readonly pause: (id: string) => Promise<void>;
  readonly resume: (id: string) => Promise<void>;
  /** Call it off; of a finished one only the record goes. */
  readonly cancel: (id: string) => Promise<void>;
}

function at(id: string) {
  return { params: { path: { id } } };
}

export const useDownloads = create<Downloads>()((set, get) => {
  const put = (entry: ModelDownloadEntry) => {
    const { items } = get();
    const isKnown = items.some(({ id }) => id === entry.id);
    set({
      items: isKnown
        ? items.map((each) => (each.id === entry.id ? entry : each))
        : [entry, ...items],
    });
  };
  const act = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (fault) {
      notifyFault(fault, { key: "downloads" });
      await get()
        .load()
        .catch(() => undefined);
    }
  };
  return {
    items: [],
    asked: new Map(),
    refused: new Map(),
    starting: new Set(),
    load: async () => {
      const { items } = await api.GET("/models/downloads");
      set({ items });
    },
    start: async (key, request) => {
      const refused = new Map(get().refused);
      refused.delete(key);
      set({ refused, starting: new Set(get().starting).add(key) });
      try {
        const entry = await api.POST("/models/downloads", { body: request });
        put(entry);
        set({ asked: new Map(get().asked).set(key, entry.id) });
        // What was there already is listed at once.
        if (entry.state === "finished") await useCatalogue.getState().loadModels();
      } catch (fault) {
        const words = faultText(fault);
        if (words !== "") set({ refused: new Map(get().refused).set(key, words) });
      } finally {
        const starting = new Set(get().starting);
        starting.delete(key);
        set({ starting });
      }
    },
    pause: (id) => act(async () => put(await api.POST("/models/downloads/{id}/pause", at(id)))),
    resume: (id) => act(async () => put(await api.POST("/models/downloads/{id}/resume", at(id)))),
    cancel: (id) =>
      act(async () => {
        await api.DELETE("/models/downloads/{id}", at(id));
        set({ items: get().items.filter((each) => each.id !== id) });
      }),
  };
});

export function isUnderWay({ state }: Pick<ModelDownloadEntry, "state">): boolean {
  return state === "running" || state === "queued" || state === "waiting";
}

/** The download for something that was asked for here, or of the same source before; null for none. */
export function downloadFor(
  { items, asked }: Pick<Downloads, "items" | "asked">,
  key: string,
  source: string | null,
): ModelDownloadEntry | null {
  const id = asked.get(key);
  return (
    items.find((each) => each.id === id) ??
    items.find((each) => source !== null && each.source === source) ??
    null
  );
}

/** All downloads under way as one: bytes, speed and the time that is left. */
export function sumOf(items: readonly ModelDownloadEntry[]) {
  const live = items.filter(isUnderWay);
  const isSized = live.every(({ bytes }) => bytes !== null);
  const total = live.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  const done = live.reduce((sum, each) => sum + each.done, 0);
  const speed = live.reduce((sum, each) => sum + each.speed, 0);
  return {
    count: live.length,
    done,
    total: isSized ? total : null,
    secondsLeft: isSized && speed > 0 ? Math.max(0, total - done) / speed : null,
  };
}

type Told = Pick<ModelDownloadEntry, "id" | "name" | "state"> & Partial<ModelDownloadEntry>;

/** Follow what the server tells; gives what ends it. */
export function startDownloads(): () => void {
  const load = () => void useDownloads.getState().load().catch(quiet);
  const stops = [
    socket().on("welcome", load),
    socket().on("notice", ({ kind, data }) => {
      if (kind === "models.download") follow(data as Told);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** It is asked for again as soon as the server is there. */
function quiet(): void {}

function follow(told: Told): void {
  const { items, load } = useDownloads.getState();
  const known = items.find(({ id }) => id === told.id);
  // What failed says why only in the list; what others started is heard of here first.
  if (known === undefined || (told.state === "failed" && known.state !== "failed")) {
    void load().catch(quiet);
  }
  if (known === undefined) return;
  const entry = { ...known, ...plainNumbers(told) };
  useDownloads.setState({ items: items.map((each) => (each === known ? entry : each)) });
  if (told.state === "finished" && known.state !== "finished") tellFinished(entry);
}

/** Messages hold large whole numbers as bigints. */
function plainNumbers(told: Told): Partial<ModelDownloadEntry> {
  const pairs = Object.entries(told).map(([key, value]) => [
    key,
    typeof value === "bigint" ? Number(value) : value,
  ]);
  return Object.fromEntries(pairs) as Partial<ModelDownloadEntry>;
}

function tellFinished({ name }: ModelDownloadEntry): void {
  const show = () => {
    const { view, openDialog, showPanel } = useUi.getState();
    // The page without a graph has no panels.
    if (view === "generate") return openDialog("getModels");
    useModels.getState().show(name);
    showPanel("left", "models");
  };
  notify({
    kind: "success",
    title: t("models.downloaded", { name }),
    action: {
      label: t(useUi.getState().view === "generate" ? "models.get" : "models.showDetails"),
      run: show,
    },
    key: `download:${name}`,
  });
}
