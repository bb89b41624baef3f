/** The person's settings, remembered in the browser and shared by its tabs. */
import { create } from "zustand";
import { ownName } from "@/api/rootPath";
import { languageFor, languages } from "@/i18n";
import { overlay, readStored, writeStored } from "./persisted";

export type ThemeChoice = "system" | "light" | "dark" | "contrast";
export type LinkStyle = "curve" | "straight" | "step";
export type GridStyle = "dots" | "lines" | "none";
/** What the wheel or two fingers do on the canvas. */
export type WheelAction = "zoom" | "pan";

/** What the address `/` opens; "last": what was used last, at first what the server says. */
export type StartPage = "last" | "editor" | "generate";

export interface Confirmations {
  readonly closeUnsaved: boolean;
  readonly deleteResults: boolean;
  readonly clearQueue: boolean;
}

export interface Settings {
  readonly theme: ThemeChoice;
  /** A language that came with the editor, "browser" for the browser's, or "own" for `ownWords`. */
  readonly language: string;
  readonly ownWords: Readonly<Record<string, string>>;
  readonly startPage: StartPage;
  readonly linkStyle: LinkStyle;
  readonly snap: boolean;
  readonly grid: GridStyle;
  /** Distance of the grid's points on the canvas, in its pixels. */
  readonly gridSize: number;
  readonly minimap: boolean;
  readonly wheel: WheelAction;
  /** Whether dragging the empty canvas with the main button selects (true) or pans (false). */
  readonly dragSelects: boolean;
  readonly animations: boolean;
  /** Others' pointers on the canvas, and one's own on theirs. */
  readonly pointers: boolean;
  /** Pictures shown in a node while it is sampling. */
  readonly previews: boolean;
  /** Results shown in the nodes that made them. */
  readonly resultsInNodes: boolean;
  /** How long work that ends while nobody looks at the page is told of; see `startWorkEnd`. */
  readonly endNotification: boolean;
  readonly endSound: boolean;
  readonly endTitle: boolean;
  /** Each edit is kept in the browser; without it a closed tab forgets what wasn't saved. */
  readonly autosave: boolean;
  readonly confirmations: Confirmations;
  /** Keys by command id where they differ from the usual; an empty list takes them away. */
  readonly keymap: Readonly<Record<string, readonly string[]>>;
}

export const DEFAULT_SETTINGS: Settings = {
  theme: "system",
  language: "browser",
  ownWords: {},
  startPage: "last",
  linkStyle: "curve",
  snap: false,
  grid: "dots",
  gridSize: 20,
  minimap: false,
  wheel: "zoom",
  dragSelects: false,
  animations: true,
  pointers: true,
  previews: true,
  resultsInNodes: true,
  endNotification: false,
  endSound: true,
  endTitle: true,
  autosave: true,
  confirmations: { closeUnsaved: true, deleteResults: true, clearQueue: true },
  keymap: {},
};

const KEY = "nodegraph.settings";

const CHOICES: { readonly [K in keyof Settings]?: readonly Settings[K][] } = {
  theme: ["system", "light", "dark", "contrast"],
  startPage: ["last", "editor", "generate"],
  linkStyle: ["curve", "straight", "step"],
  grid: ["dots", "lines", "none"],
  wheel: ["zoom", "pan"],
};

/** Settings from whatever was stored, by this version or another. */
export function settingsFrom(stored: unknown): Settings {
  const settings = overlay(DEFAULT_SETTINGS, stored);
  const mended = Object.entries(CHOICES).filter(
    ([key, choices]) => !(choices as readonly unknown[]).includes(settings[key as keyof Settings]),
  );
  return {
    ...settings,
    ...Object.fromEntries(mended.map(([key]) => [key, DEFAULT_SETTINGS[key as keyof Settings]])),
    gridSize: Math.min(100, Math.max(5, Math.round(settings.gridSize))),
    keymap: keymapFrom(settings.keymap),
    ownWords: wordsFrom(settings.ownWords),
  };
}

function keymapFrom(stored: Readonly<Record<string, unknown>>): Settings["keymap"] {
  const entries = Object.entries(stored).flatMap(([id, keys]) =>
    Array.isArray(keys) ? [[id, keys.filter((key) => typeof key === "string")] as const] : [],
  );
  return Object.fromEntries(entries);
}

function wordsFrom(stored: Readonly<Record<string, unknown>>): Settings["ownWords"] {
  return Object.fromEntries(
    Object.entries(stored).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}

export const useSettings = create<Settings>()(() => settingsFrom(readStored(KEY)));

/** The language to be shown; English where the one chosen isn't there any more. */
export function chosenLanguage(): string {
  const { language } = useSettings.getState();
  if (language === "browser") return languageFor(navigator.languages);
  return languages().includes(language) ? language : "en";
}

function keep(): void {
  writeStored(KEY, useSettings.getState());
}

export function setSetting<K extends keyof Settings>(key: K, value: Settings[K]): void {
  useSettings.setState({ [key]: value } as Pick<Settings, K>);
  keep();
}

export function setConfirmation(name: keyof Confirmations, asks: boolean): void {
  setSetting("confirmations", { ...useSettings.getState().confirmations, [name]: asks });
}

/** Give a command other keys; null brings the usual ones back. */
export function bindKeys(command: string, keys: readonly string[] | null): void {
  const { [command]: _, ...others } = useSettings.getState().keymap;
  setSetting("keymap", keys === null ? others : { ...others, [command]: keys });
}

export function resetSettings(): void {
  useSettings.setState(DEFAULT_SETTINGS);
  keep();
}

/** Follow changes made in the browser's other tabs; gives the way to stop. */
export function followOtherTabs(): () => void {
  const follow = (event: StorageEvent) => {
    if (event.key === ownName(KEY)) useSettings.setState(settingsFrom(readStored(KEY)));
  };
  addEventListener("storage", follow);
  return () => removeEventListener("storage", follow);
}
