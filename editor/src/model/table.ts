/**
 * A table whose rows are runs: CSV with a line of column names, or a JSON object on each line.
 *
 * Columns are parameters of the workflow, or inputs ("node.input"). An empty cell, and null, leaves the
 * value of the workflow.
 */
import { isObject, type Json, readJson, writeJson } from "./json";
import { integerFromText } from "./json/numbers";
import { isLink, targetOf } from "./links";
import { type InputSpec, inputOf, type NodeTypes, typeOf } from "./spec";
import { checkValue, widgetOf } from "./widgets";
import type { Workflow } from "./workflow";

export interface Table {
  readonly columns: readonly string[];
  /** Null where a cell is empty. */
  readonly rows: readonly (readonly (Json | null)[])[];
}

export interface TableFault {
  /** Line of the text, from 1; null if it is of the whole. */
  readonly line: number | null;
  readonly code: "empty" | "columns" | "long" | "quote" | "json" | "object";
}

export type ReadTable = { readonly table: Table } | { readonly fault: TableFault };

const DELIMITERS = [",", ";", "\t"];

export function readTable(text: string): ReadTable {
  const whole = text.replace(/^\uFEFF/, "");
  if (whole.trim() === "") return { fault: { line: null, code: "empty" } };
  return whole.trimStart().startsWith("{") ? readLines(whole) : readCsv(whole);
}

function readLines(text: string): ReadTable {
  const columns: string[] = [];
  const objects: Map<string, Json>[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    let value: Json;
    try {
      value = readJson(line);
    } catch {
      return { fault: { line: index + 1, code: "json" } };
    }
    if (!isObject(value)) return { fault: { line: index + 1, code: "object" } };
    const row = new Map<string, Json>(value);
    for (const name of row.keys()) if (!columns.includes(name)) columns.push(name);
    objects.push(row);
  }
  return {
    table: { columns, rows: objects.map((row) => columns.map((name) => row.get(name) ?? null)) },
  };
}

function readCsv(text: string): ReadTable {
  const head = text.split("\n", 1)[0] ?? "";
  const counts = DELIMITERS.map((each) => head.split(each).length);
  const delimiter = DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ",";
  const lines = cellsOf(text, delimiter);
  if ("fault" in lines) return lines;
  const [first, ...others] = lines.records;
  const columns = (first?.cells ?? []).map((name) => name.trim());
  const isNamed = columns.length > 0 && !columns.includes("");
  if (!isNamed || new Set(columns).size < columns.length)
    return { fault: { line: 1, code: "columns" } };
  const rows: (Json | null)[][] = [];
  for (const { line, cells } of others) {
    if (cells.every((cell) => cell === "")) continue;
    if (cells.length > columns.length) return { fault: { line, code: "long" } };
    rows.push(columns.map((_, index) => cells[index] || null));
  }
  return rows.length === 0
    ? { fault: { line: null, code: "empty" } }
    : { table: { columns, rows } };
}

interface CsvLine {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Quotes hold delimiters and ends of lines; a doubled quote is one. */
function cellsOf(
  text: string,
  delimiter: string,
): { readonly records: readonly CsvLine[] } | { readonly fault: TableFault } {
  const records: CsvLine[] = [];
  let cells: string[] = [];
  let cell = "";
  let isQuoted = false;
  let [line, start] = [1, 1];
  const endRecord = () => {
    records.push({ line: start, cells: [...cells, cell] });
    [cells, cell, start] = [[], "", line];
  };
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] ?? "";
    if (letter === "\n") line += 1;
    if (isQuoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else isQuoted = false;
    } else if (letter === '"' && cell === "") isQuoted = true;
    else if (letter === delimiter) {
      cells.push(cell);
      cell = "";
    } else if (letter === "\n") endRecord();
    else if (letter !== "\r" || text[at + 1] !== "\n") cell += letter;
  }
  if (isQuoted) return { fault: { line: start, code: "quote" } };
  if (cell !== "" || cells.length > 0) endRecord();
  return { records };
}

/** What a column leads to; null if there is no such parameter or input. */
export interface Column {
  readonly name: string;
  readonly input: InputSpec | null;
  /** An input that is linked takes no value. */
  readonly isLinked: boolean;
}

export interface CellFault {
  /** From 0. */
  readonly row: number;
  readonly column: number;
  /** In words. */
  readonly fault: string;
}

export interface CheckedTable {
  readonly columns: readonly Column[];
  readonly faults: readonly CellFault[];
}

/** Whether the values of a table can be those of a workflow's parameters. */
export function checkTable(table: Table, workflow: Workflow, types: NodeTypes): CheckedTable {
  const columns = table.columns.map((name) => columnOf(name, workflow, types));
  const faults = table.rows.flatMap((cells, row) =>
    cells.flatMap((cell, column): CellFault[] => {
      const input = columns[column]?.input;
      if (!input || cell === null) return [];
      const fault = checkValue(input, literalOf(cell, input));
      return fault === null ? [] : [{ row, column, fault }];
    }),
  );
  return { columns, faults };
}

function columnOf(name: string, workflow: Workflow, types: NodeTypes): Column {
  const target = targetOf(workflow.parameters.get(name)?.input ?? name);
  const entry = target === null ? undefined : workflow.nodes.get(target.node);
  const spec = entry === undefined ? null : typeOf(types, workflow, entry);
  const input = target === null || spec === null ? null : inputOf(spec, target.port);
  const isUsed = input !== null && widgetOf(input) !== null;
  return {
    name,
    input: isUsed ? input : null,
    isLinked: target !== null && isLink(entry?.inputs.get(target.port)),
  };
}

/** A cell as the input takes it: the text of a CSV says numbers and switches, too. */
function literalOf(cell: Json, input: InputSpec): Json {
  if (typeof cell !== "string") return cell;
  const widget = widgetOf(input);
  const text = cell.trim();
  if (widget?.kind === "seed" || widget?.kind === "number") {
    const number = Number(text);
    return integerFromText(text) ?? (text !== "" && Number.isFinite(number) ? number : cell);
  }
  if (widget?.kind === "toggle") {
    if (/^(true|yes|on|1)$/i.test(text)) return true;
    return /^(false|no|off|0)$/i.test(text) ? false : cell;
  }
  if (widget?.kind === "choice") {
    const isSame = (option: Json) => cellText(option) === text;
    return widget.options.find(isSame) ?? cell;
  }
  if (widget?.kind === "json") {
    try {
      return readJson(text);
    } catch {
      return cell;
    }
  }
  return cell;
}

/** A cell as it is shown. */
export function cellText(cell: Json | null): string {
  if (cell === null) return "";
  return typeof cell === "string" ? cell : writeJson(cell).trim();
}
