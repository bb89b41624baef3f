/** The words of the editor: English is built in, other languages are read when they are chosen. */
import { createInstance } from "i18next";

type Words = Record<string, string>;
type Values = Record<string, unknown>;

const ENGLISH = import.meta.glob<Words>("./en/*.json", { eager: true, import: "default" });
const OTHERS = import.meta.glob<Words>(["./*/*.json", "!./en/*.json"], { import: "default" });

/** The file name is the area: `en/shell.json` holds what follows "shell." in a key. */
function withArea(path: string, words: Words): Words {
  const area = path.slice(path.lastIndexOf("/") + 1, -".json".length);
  return Object.fromEntries(Object.entries(words).map(([key, text]) => [`${area}.${key}`, text]));
}

/** All words of English by full key, the file that a translator starts from. */
export const english: Readonly<Words> = Object.assign(
  {},
  ...Object.entries(ENGLISH).map(([path, words]) => withArea(path, words)),
);

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
  const found = Object.keys(OTHERS).map((path) => path.split("/")[1] ?? "en");
  return ["en", ...new Set(found)];
}

/** A language's name in that language. */
export function languageName(language: string): string {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(language) ?? language;
  } catch {
    return language;
  }
}

/** Read a language and make it the one shown; words that it lacks stay English. */
export async function switchLanguage(language: string, ownWords?: Readonly<Words>): Promise<void> {
  if (ownWords !== undefined) translator.addResourceBundle(language, "translation", ownWords);
  const paths = Object.keys(OTHERS).filter((path) => path.startsWith(`./${language}/`));
  for (const path of paths) {
    const words = await OTHERS[path]?.();
    if (words) translator.addResourceBundle(language, "translation", withArea(path, words), true);
  }
  await translator.changeLanguage(language);
}
