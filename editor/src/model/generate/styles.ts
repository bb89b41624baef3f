/** Styles: pieces of text that are put around a prompt, in the form of A1111's `styles.csv`. */
import { csvLine, rowsOfCsv } from "./csv";

export interface Style {
  readonly name: string;
  /** `{prompt}` in it stands for the prompt; without it the piece follows the prompt. */
  readonly prompt: string;
  readonly negative: string;
}

/** What is wrong with a file of styles. */
export class StylesFault extends Error {
  override readonly name = "StylesFault";
}

const HERE = "{prompt}";

/** A prompt with the pieces of styles around it, in their order. */
export function styled(prompt: string, pieces: readonly string[]): string {
  return pieces.reduce((text, piece) => {
    if (piece.includes(HERE)) return piece.split(HERE).join(text);
    return [text, piece.trim()].filter((part) => part.trim() !== "").join(", ");
  }, prompt);
}

/**
 * The styles of a file: the columns `name`, `prompt` and `negative_prompt`, in any order.
 *
 * A `StylesFault` says which of them is missing. Rows without a name are left out, as A1111's
 * headings are.
 */
export function stylesOfCsv(csv: string): readonly Style[] {
  const [head = [], ...rows] = rowsOfCsv(csv);
  const columns = head.map((title) => title.trim().toLowerCase());
  const at = (...names: readonly string[]) => columns.findIndex((title) => names.includes(title));
  const [name, prompt] = [at("name"), at("prompt", "text")];
  const negative = at("negative_prompt", "negative prompt", "negative");
  if (name < 0 || prompt < 0) throw new StylesFault(name < 0 ? "name" : "prompt");
  const styles = rows.map((row) => ({
    name: (row[name] ?? "").trim(),
    prompt: row[prompt] ?? "",
    negative: negative < 0 ? "" : (row[negative] ?? ""),
  }));
  const isStyle = (style: Style) =>
    style.name !== "" && (style.prompt.trim() !== "" || style.negative.trim() !== "");
  return merged([], styles.filter(isStyle));
}

/** The file of styles. */
export function csvOfStyles(styles: readonly Style[]): string {
  const rows = styles.map(({ name, prompt, negative }) => [name, prompt, negative]);
  return [["name", "prompt", "negative_prompt"], ...rows]
    .map((row) => `${csvLine(row)}\n`)
    .join("");
}

/** Styles with others, which take the place of those of their names. */
export function merged(styles: readonly Style[], added: readonly Style[]): readonly Style[] {
  const all = new Map([...styles, ...added].map((style) => [style.name, style]));
  return [...all.values()];
}
