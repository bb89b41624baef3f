/** Docstrings as blocks of text that can be shown: paragraphs, lists, code, and named sections. */

export interface Span {
  readonly kind: "text" | "code" | "link";
  readonly text: string;
}

export type Block =
  | { readonly kind: "paragraph"; readonly spans: readonly Span[] }
  | { readonly kind: "list"; readonly items: readonly (readonly Span[])[] }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "terms"; readonly title: string; readonly terms: readonly Term[] };

export interface Term {
  readonly name: string;
  readonly spans: readonly Span[];
}

/** Sections whose entries are told at the ports already. */
const TOLD_ELSEWHERE = new Set(["Args", "Arguments", "Parameters", "Inputs", "Returns", "Outputs"]);

/** The blocks of a docstring, without its first line (shown as summary) if that is `summary`. */
export function readDocstring(help: string, summary = ""): readonly Block[] {
  const lines = help.replace(/\r\n?/g, "\n").split("\n");
  const chunks = chunksOf(lines);
  const [first, ...rest] = chunks;
  if (first === undefined) return [];
  const repeats = joined(first) === summary.trim();
  return (repeats ? rest : chunks).flatMap(blockOf);
}

/** Lines between empty ones; a section's title starts one, and keeps what is indented below it. */
function chunksOf(lines: readonly string[]): string[][] {
  const chunks: string[][] = [];
  let chunk: string[] = [];
  const close = () => {
    while (chunk.at(-1)?.trim() === "") chunk.pop();
    if (chunk.length > 0) chunks.push(chunk);
    chunk = [];
  };
  for (const line of lines) {
    const isInSection = chunk[0] !== undefined && sectionTitle(chunk[0]) !== null;
    if (line.trim() === "") {
      if (isInSection) chunk.push(line);
      else close();
    } else if (sectionTitle(line) !== null || (isInSection && !/^\s/.test(line))) {
      close();
      chunk.push(line);
    } else {
      chunk.push(line);
    }
  }
  close();
  return chunks;
}

function sectionTitle(line: string): string | null {
  return /^([A-Z][A-Za-z ]{1,30}):$/.exec(line)?.[1] ?? null;
}

function blockOf(chunk: readonly string[]): readonly Block[] {
  const [head = "", ...rest] = chunk;
  const title = sectionTitle(head);
  if (title !== null) {
    if (TOLD_ELSEWHERE.has(title)) return [];
    return [{ kind: "terms", title, terms: termsOf(rest) }];
  }
  if (chunk.every((line) => /^\s{4,}|^\s*(>>>|\.\.\.) /.test(line))) {
    return [{ kind: "code", text: dedent(chunk).join("\n") }];
  }
  if (/^\s*[-*•] /.test(head)) return [{ kind: "list", items: itemsOf(chunk) }];
  return [{ kind: "paragraph", spans: spansOf(joined(chunk)) }];
}

function termsOf(lines: readonly string[]): readonly Term[] {
  const terms: { name: string; text: string }[] = [];
  for (const line of dedent(lines)) {
    const start = /^(\S[^:]{0,60}):\s+(.*)$/.exec(line);
    const last = terms.at(-1);
    if (start !== null) terms.push({ name: start[1] ?? "", text: start[2] ?? "" });
    else if (last !== undefined && /^\s/.test(line)) last.text += ` ${line.trim()}`;
    else if (line.trim() !== "") terms.push({ name: "", text: line.trim() });
  }
  return terms.map(({ name, text }) => ({ name, spans: spansOf(text) }));
}

function itemsOf(lines: readonly string[]): readonly (readonly Span[])[] {
  const items: string[] = [];
  for (const line of lines) {
    const start = /^\s*[-*•] (.*)$/.exec(line);
    if (start !== null) items.push(start[1] ?? "");
    else items.push(`${items.pop() ?? ""} ${line.trim()}`.trim());
  }
  return items.map(spansOf);
}

function dedent(lines: readonly string[]): string[] {
  const depths = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  const depth = Math.min(...depths, 80);
  return lines.map((line) => line.slice(depth));
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => line.trim()).join(" ");
}

/** Text with `code` in single or double backticks and web addresses set apart. */
export function spansOf(text: string): readonly Span[] {
  const spans: Span[] = [];
  const pattern = /(`+)(.+?)\1|https?:\/\/[^\s)>\]]+[^\s)>\].,;:]/g;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) spans.push({ kind: "text", text: text.slice(end, match.index) });
    const code = match[2];
    if (code === undefined) spans.push({ kind: "link", text: match[0] });
    else spans.push({ kind: "code", text: code.trim() });
    end = match.index + match[0].length;
  }
  if (end < text.length) spans.push({ kind: "text", text: text.slice(end) });
  return spans;
}
