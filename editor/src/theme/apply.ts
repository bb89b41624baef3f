/** Puts the chosen theme on the page and follows the system while "system" is chosen. */
import type { ThemeChoice } from "@/store/settings";

export type Theme = "light" | "dark" | "contrast";

/** The theme that a choice means with the system's wishes as they are. */
export function themeOf(choice: ThemeChoice, wants: (query: string) => boolean): Theme {
  if (choice !== "system") return choice;
  if (wants("(prefers-contrast: more)")) return "contrast";
  return wants("(prefers-color-scheme: dark)") ? "dark" : "light";
}

const QUERIES = ["(prefers-contrast: more)", "(prefers-color-scheme: dark)"];

function wants(query: string): boolean {
  return typeof matchMedia === "function" && matchMedia(query).matches;
}

/** Of the bars that a browser or system draws around the page: `--bg` of tokens.css. */
const BARS: Readonly<Record<Theme, string>> = {
  light: "#f6f6f8",
  dark: "#15161a",
  contrast: "#000000",
};

function apply(choice: ThemeChoice): void {
  const theme = themeOf(choice, wants);
  document.documentElement.dataset.theme = theme;
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]'))
    meta.content = BARS[theme];
}

/** Apply a choice now and whenever the system changes its mind; gives the way to stop. */
export function followTheme(choice: ThemeChoice): () => void {
  apply(choice);
  if (choice !== "system" || typeof matchMedia !== "function") return () => undefined;
  const lists = QUERIES.map((query) => matchMedia(query));
  const update = () => apply(choice);
  for (const list of lists) list.addEventListener("change", update);
  return () => {
    for (const list of lists) list.removeEventListener("change", update);
  };
}

export function applyMotion(animations: boolean): void {
  document.documentElement.dataset.motion = animations ? "on" : "off";
}
