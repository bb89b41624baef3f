/** The markup that notes know: headings, lists, code, and bold, italic and links within a line. */

export type Span =
  | { readonly kind: "text" | "bold" | "italic" | "code"; readonly text: string }
  | { readonly kind: "link"; readonly text: string; readonly to: string };

export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly spans: readonly Span[] }
  | { readonly kind: "list"; readonly numbered: boolean; readonly items: readonly Line[] }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "paragraph"; readonly lines: readonly Line[] };

type Line = readonly Span[];

const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;
const FENCE = /^\s*```/;
const HEADING = /^(#{1,3})\s+(.*)$/;

export function blocksOf(text: string): readonly Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const { block, next } = blockAt(lines, at);
    if (block) blocks.push(block);
    at = next;
  }
  return blocks;
}

function blockAt(
  lines: readonly string[],
  at: number,
): { readonly block: Block | null; readonly next: number } {
  const line = lines[at] ?? "";
  if (line.trim() === "") return { block: null, next: at + 1 };
  if (FENCE.test(line)) {
    const end = until(lines, at + 1, (other) => FENCE.test(other));
    return { block: { kind: "code", text: lines.slice(at + 1, end).join("\n") }, next: end + 1 };
  }
  const heading = HEADING.exec(line);
  if (heading) {
    const [, marks = "", title = ""] = heading;
    return {
      block: { kind: "heading", level: marks.length, spans: spansOf(title) },
      next: at + 1,
    };
  }
  const item = ITEM.exec(line);
  if (item) {
    const numbered = item[1] !== undefined;
    const isOther = (other: string) => {
      const found = ITEM.exec(other);
      return found === null || (found[1] !== undefined) !== numbered;
    };
    const end = until(lines, at, isOther);
    const items = lines.slice(at, end).map((each) => spansOf(ITEM.exec(each)?.[2] ?? ""));
    return { block: { kind: "list", numbered, items }, next: end };
  }
  const end = until(lines, at + 1, (other) => other.trim() === "" || begins(other));
  return { block: { kind: "paragraph", lines: lines.slice(at, end).map(spansOf) }, next: end };
}

function begins(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || ITEM.test(line);
}

function until(lines: readonly string[], from: number, stops: (line: string) => boolean): number {
  const found = lines.findIndex((line, index) => index >= from && stops(line));
  return found === -1 ? lines.length : found;
}

// A link goes to the web only: `javascript:` and the like stay text.
const MARK =
  /`([^`]+)`|\*\*(\S(?:.*?\S)?)\*\*|\*(\S(?:[^*]*?[^*\s])?)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s)>\]]*[^\s)>\].,;:!?])/g;

function spansOf(line: string): Line {
  const spans: Span[] = [];
  let at = 0;
  for (const found of line.matchAll(MARK)) {
    if (found.index > at) spans.push({ kind: "text", text: line.slice(at, found.index) });
    spans.push(spanOf(found));
    at = found.index + found[0].length;
  }
  if (at < line.length) spans.push({ kind: "text", text: line.slice(at) });
  return spans;
}

function spanOf([all, code, bold, italic, text, to]: RegExpExecArray): Span {
  if (code !== undefined) return { kind: "code", text: code };
  if (bold !== undefined) return { kind: "bold", text: bold };
  if (italic !== undefined) return { kind: "italic", text: italic };
  return { kind: "link", text: text ?? all, to: to ?? all };
}

export function hasLinks(blocks: readonly Block[]): boolean {
  return JSON.stringify(blocks).includes('"kind":"link"');
}
