/**
 * The words of the editor: those of a language are fetched when it is shown, but those in its folder
 * `late`, which are of views that most people don't open on a first visit: they come with such a view.
 */
import { createInstance } from "i18next";

type Words = Record<string, string>;
type Values = Record<string, unknown>;

const FIRST = import.meta.glob<Record<string, Words>>("./*/index.ts", { import: "default" });
const LATE = import.meta.glob<Record<string, Words>>("./*/late.ts", { import: "default" });

/** Words of one language by full key: `en/shell.json` holds what follows "shell." in a key. */
function byKey(files: Readonly<Record<string, Words>>): Words {
  const entries = Object.entries(files).flatMap(([path, words]) => {
    const area = path.slice(path.lastIndexOf("/") + 1, -".json".length);
    return Object.entries(words).map(([key, text]) => [`${area}.${key}`, text] as const);
  });
  return Object.fromEntries(entries);
}

const translator = createInstance();
void translator.init({
  lng: "en",
  fallbackLng: "en",
  keySeparator: false,
  nsSeparator: false,
  initAsync: false,
  interpolation: { escapeValue: false }, // React escapes
  resources: {},
});

/** The text of a key in the chosen language; `{{name}}` in it takes `values.name`. */
export function t(key: string, values?: Values): string {
  return values === undefined ? translator.t(key) : translator.t(key, values);
}

/** Whether a key has a text, for keys that are put together from data. */
export function hasText(key: string): boolean {
  return translator.exists(key);
}

/** Languages that came with the editor. */
export function languages(): readonly string[] {
  const others = Object.keys(FIRST).map((path) => path.split("/")[1] ?? "en");
  return [...new Set(["en", ...others])];
}

/** All words of a language that came with the editor, by full key; English ones for any other. */
export async function wordsOf(language: string): Promise<Readonly<Words>> {
  const [first, late] = await Promise.all([firstWords(language), lateWords(language)]);
  return { ...first, ...late };
}

async function firstWords(language: string): Promise<Words> {
  const fetch = FIRST[`./${language}/index.ts`] ?? FIRST["./en/index.ts"];
  return fetch ? byKey(await fetch()) : {};
}

async function lateWords(language: string): Promise<Words> {
  const fetch = LATE[`./${language}/late.ts`] ?? LATE["./en/late.ts"];
  return fetch ? byKey(await fetch()) : {};
}

/**
 * The first language of a browser's list that came with the editor, English if there is none.
 *
 * Its script counts, its country doesn't: de-AT is German, zh-TW isn't Simplified Chinese.
 */
export function languageFor(wanted: readonly string[]): string {
  const known = new Map(languages().map((tag) => [written(tag), tag]));
  return wanted.map((tag) => known.get(written(tag))).find((tag) => tag !== undefined) ?? "en";
}

/** A language and its script, such as "zh-Hans" for zh-CN. */
function written(tag: string): string {
  try {
    const { language, script } = new Intl.Locale(tag).maximize();
    return `${language}-${script}`;
  } catch {
    return tag; // browsers on systems without a language give tags such as "en-US@posix"
  }
}

/** A language's name in that language. */
export function languageName(language: string): string {
  try {
    const name = new Intl.DisplayNames([language], { type: "language" }).of(language) ?? language;
    return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
  } catch {
    return language;
  }
}

/** The language that is shown. */
export function shownLanguage(): string {
  return translator.language;
}

let asked = "en";
/** Whether a view needs the late words, too: from then on languages come with them. */
let isWhole = false;

/**
 * Fetch a language and make it the one shown, unless another was asked for meanwhile; words that a
 * person's own lack stay English.
 */
export async function switchLanguage(language: string, ownWords?: Readonly<Words>): Promise<void> {
  asked = language;
  const fetch = isWhole ? wordsOf : firstWords;
  const words = ownWords ?? (await fetch(language));
  if (ownWords) translator.addResourceBundle("en", "translation", await wordsOf("en"));
  if (asked !== language) return;
  translator.addResourceBundle(language, "translation", words);
  await translator.changeLanguage(language);
  // Nobody knows which language a person's own words are in.
  if ("document" in globalThis) document.documentElement.lang = ownWords ? "" : language;
}

/** Fetch the late words of the language shown, before a view is drawn that needs them. */
export async function fetchLateWords(): Promise<void> {
  isWhole = true;
  let language: string;
  do {
    language = asked;
    // A person's own words are there as a whole, and so are the English ones behind them.
    if (!(`./${language}/late.ts` in LATE)) return;
    translator.addResourceBundle(language, "translation", await lateWords(language));
  } while (language !== asked);
}
