/** Comma-separated values, as RFC 4180 has them: quoted fields may hold commas, quotes and lines. */

/** The rows of a text; empty lines give none. */
export function rowsOfCsv(csv: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  const end = () => {
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  };
  const source = csv.startsWith("\ufeff") ? csv.slice(1) : csv;
  let at = 0;
  while (at < source.length) {
    const [field, next] = fieldAt(source, at);
    row.push(field);
    const mark = source[next];
    if (mark !== ",") end();
    at = mark === "\r" && source[next + 1] === "\n" ? next + 2 : next + 1;
    // A comma at the very end is followed by an empty field.
    if (mark === "," && at >= source.length) row.push("");
  }
  if (row.length > 0) end();
  return rows;
}

/** A field, and where what ends it stands. */
function fieldAt(source: string, start: number): readonly [string, number] {
  if (source[start] !== '"') {
    const end = endOfField(source, start);
    return [source.slice(start, end), end];
  }
  let field = "";
  let at = start + 1;
  for (;;) {
    const quote = source.indexOf('"', at);
    // A quote that is never closed ends with the text.
    if (quote < 0) return [field + source.slice(at), source.length];
    field += source.slice(at, quote);
    if (source[quote + 1] !== '"') {
      const end = endOfField(source, quote + 1);
      return [field + source.slice(quote + 1, end), end];
    }
    field += '"';
    at = quote + 2;
  }
}

function endOfField(source: string, start: number): number {
  let end = start;
  while (end < source.length && source[end] !== "," && !/[\r\n]/.test(source[end] ?? "")) end += 1;
  return end;
}

/** A row as a line of such a file. */
export function csvLine(fields: readonly string[]): string {
  return fields
    .map((field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join(",");
}
