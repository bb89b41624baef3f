/** Titles of cards that are seen from afar. */

/** Width of a letter and height of a line, in heights of the letters. */
const LETTER = 0.64;
const LINE = 1.15;
const MARGIN = 12;
/** Fewer letters than these tell nothing. */
const LEAST = 4;

/**
 * As much of a title as a block has room for, in letters of this size; "" if that is too little.
 * Counted and not clipped: five hundred clips are as many more parts for the browser to put together.
 */
export function fittingTitle(title: string, width: number, height: number, size: number): string {
  const columns = Math.floor((width - 2 * MARGIN) / (LETTER * size));
  const rows = Math.floor((height - MARGIN) / (LINE * size));
  if (columns < LEAST || rows < 1) return "";
  const lines: string[] = [];
  let rest = title.trim();
  while (rest !== "" && lines.length < rows) {
    const line = firstLine(rest, columns);
    rest = rest.slice(line.length).trimStart();
    lines.push(line);
  }
  if (rest === "") return lines.join("\n");
  const last = lines.pop() ?? "";
  return [...lines, `${last.slice(0, columns - 1)}…`].join("\n");
}

/** Words as long as they fit; part of the first one if even that doesn't. */
function firstLine(text: string, columns: number): string {
  if (text.length <= columns) return text;
  const space = text.lastIndexOf(" ", columns);
  return text.slice(0, space > 0 ? space : columns);
}
