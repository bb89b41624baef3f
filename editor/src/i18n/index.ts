/** The words of the editor: English is built in, other languages are fetched when they are shown. */
import { createInstance } from "i18next";

type Words = Record<string, string>;
type Values = Record<string, unknown>;

const ENGLISH = import.meta.glob<Words>("./en/*.json", { eager: true, import: "default" });
const OTHERS = import.meta.glob<Record<string, Words>>("./*/index.ts", { import: "default" });

/** Words of one language by full key: `en/shell.json` holds what follows "shell." in a key. */
function byKey(files: Readonly<Record<string, Words>>): Words {
  const entries = Object.entries(files).flatMap(([path, words]) => {
    const area = path.slice(path.lastIndexOf("/") + 1, -".json".length);
    return Object.entries(words).map(([key, text]) => [`${area}.${key}`, text] as const);
  });
  return Object.fromEntries(entries);
}

/** All words of English by full key, the file that a translator starts from. */
export const english: Readonly<Words> = byKey(ENGLISH);

const translator = createInstance();
void translator.init({
  lng: "en",
  fallbackLng: "en",
  keySeparator: false,
  nsSeparator: false,
  initAsync: false,
  interpolation: { escapeValue: false }, // React escapes
  resources: { en: { translation: { ...english } } },
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
  return ["en", ...Object.keys(OTHERS).map((path) => path.split("/")[1] ?? "en")];
}

/** The words of a language that came with the editor, by full key. */
export async function wordsOf(language: string): Promise<Readonly<Words>> {
  const fetched = await OTHERS[`./${language}/index.ts`]?.();
  return fetched ? byKey(fetched) : english;
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

/**
 * Fetch a language and make it the one shown, unless another was asked for meanwhile; words that it
 * lacks stay English.
 */
export async function switchLanguage(language: string, ownWords?: Readonly<Words>): Promise<void> {
  asked = language;
  const words = ownWords ?? (await wordsOf(language));
  if (asked !== language) return;
  translator.addResourceBundle(language, "translation", words);
  await translator.changeLanguage(language);
  // Nobody knows which language a person's own words are in.
  document.documentElement.lang = ownWords ? "" : language;
}
