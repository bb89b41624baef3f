// Writes src/api/schema.d.ts, the types of what the server takes and gives, from its OpenAPI
// description: `node scripts/schema.mjs openapi.json > src/api/schema.d.ts` (or `-` for stdin).
// `paths` has the shape that openapi-typescript gives it, for openapi-fetch. That program needs the
// compiler interface of TypeScript 5, which TypeScript 7 doesn't have.
import { readFileSync } from "node:fs";

// Errors leave out what is null, whatever their description says; all other answers are whole.
const SPARSE = new Set(["Finding", "ProblemDetails"]);
const WIDTH = 100;

/** The names of schemas that are reached from a part of the description. */
function reached(part, schemas, found = new Set()) {
  if (Array.isArray(part)) {
    for (const each of part) reached(each, schemas, found);
  } else if (part !== null && typeof part === "object") {
    for (const [key, value] of Object.entries(part)) {
      if (key === "$ref" && typeof value === "string") follow(value, schemas, found);
      else reached(value, schemas, found);
    }
  }
  return found;
}

function follow(reference, schemas, found) {
  const name = nameOf(reference);
  if (found.has(name)) return;
  found.add(name);
  reached(schemas[name], schemas, found);
}

function nameOf(reference) {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

function requestBodies(paths) {
  return Object.values(paths).flatMap((methods) =>
    Object.values(methods).map((method) => method.requestBody ?? null),
  );
}

function typeOf(schema) {
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return unionOf(choices.map(typeOf));
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return unionOf(schema.enum.map((value) => JSON.stringify(value)));
  if (schema.format === "binary") return "Blob";
  if (schema.type === "array") return arrayOf(typeOf(schema.items ?? {}));
  if (schema.type === "object") return recordOf(schema.additionalProperties);
  const plain = { string: "string", integer: "number", number: "number", boolean: "boolean", null: "null" };
  return plain[schema.type] ?? "unknown";
}

function unionOf(types) {
  const distinct = [...new Set(types)];
  return distinct.includes("unknown") ? "unknown" : distinct.join(" | ");
}

function arrayOf(item) {
  return item.includes(" ") ? `(${item})[]` : `${item}[]`;
}

function recordOf(values) {
  return `Record<string, ${values === undefined || typeof values === "boolean" ? "unknown" : typeOf(values)}>`;
}

function comment(text, indent) {
  if (text === undefined) return [];
  const lines = text.trim().split("\n").flatMap((line) => wrapped(line.trim(), WIDTH - indent.length - 3));
  if (lines.length === 1) return [`${indent}/** ${lines[0]} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`];
}

function wrapped(line, width) {
  const lines = [""];
  for (const word of line.split(" ")) {
    const last = lines[lines.length - 1];
    if (last !== "" && last.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines;
}

function keyOf(name) {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function interfaceOf(name, schema, isAsked) {
  if (schema.properties === undefined) return [...comment(schema.description, ""), `export type ${name} = ${typeOf(schema)};`];
  const required = new Set(schema.required ?? []);
  const lines = [...comment(schema.description, ""), `export interface ${name} {`];
  for (const [key, property] of Object.entries(schema.properties)) {
    const isSure = required.has(key) || !(isAsked || SPARSE.has(name));
    lines.push(...comment(property.description, "  "));
    lines.push(`  ${keyOf(key)}${isSure ? "" : "?"}: ${typeOf(property)};`);
  }
  if (schema.additionalProperties === true) lines.push("  [more: string]: unknown;");
  return [...lines, "}"];
}

function pathsOf(paths) {
  const lines = ["/** What may be asked for, by path and method. */", "export interface paths {"];
  for (const [path, methods] of Object.entries(paths)) {
    lines.push(`  ${JSON.stringify(path)}: {`);
    for (const [method, operation] of Object.entries(methods)) {
      lines.push(...operationOf(method, operation).map((line) => `    ${line}`));
    }
    lines.push("  };");
  }
  return [...lines, "}"].join("\n");
}

function operationOf(method, { summary, parameters = [], requestBody, responses }) {
  const body = requestBody && contentOf(requestBody.content);
  return [
    ...comment(summary, ""),
    `${method}: {`,
    ...block("  parameters: {", ["query", "header", "path"].flatMap((kind) => parametersOf(kind, parameters)), "  };"),
    body ? `  requestBody${requestBody.required ? "" : "?"}: { content: { ${body} } };` : "  requestBody?: never;",
    ...block("  responses: {", Object.entries(responses).flatMap(responseOf), "  };"),
    "};",
  ];
}

function parametersOf(kind, parameters) {
  const own = parameters.filter((parameter) => parameter.in === kind);
  if (own.length === 0) return [`    ${kind}?: never;`];
  const members = own.map(
    ({ name, required, schema }) => `      ${keyOf(name)}${required ? "" : "?"}: ${typeOf(schema)};`,
  );
  const isNeeded = own.some(({ required }) => required);
  return block(`    ${kind}${isNeeded ? "" : "?"}: {`, members, "    };");
}

/** On one line if that is short enough. */
function block(head, lines, tail) {
  const short = [head, ...lines, tail].map((line) => line.trim()).join(" ");
  const indent = head.slice(0, head.search(/\S/));
  return short.length + indent.length < WIDTH - 4 ? [indent + short] : [head, ...lines, tail];
}

// Problems are the same for all of them: api/client.ts throws them.
function responseOf([status, { content }]) {
  if (!/^[23]/.test(status)) return [];
  const types = content && contentOf(content);
  return [`    ${status}: { content${types ? `: { ${types} }` : "?: never"} };`];
}

function contentOf(content) {
  return Object.entries(content)
    .map(([type, { schema }]) => `${JSON.stringify(type)}: ${typeOf(schema ?? {})}`)
    .join("; ");
}

function written({ paths, components: { schemas } }) {
  const asked = reached(requestBodies(paths), schemas);
  const parts = Object.keys(schemas)
    .sort()
    .map((name) => interfaceOf(name, schemas[name], asked.has(name)).join("\n"));
  const head = "// Made by scripts/schema.mjs from the server's /openapi.json; don't edit.";
  return `${[head, pathsOf(paths), ...parts].join("\n\n")}\n`;
}

const path = process.argv[2];
if (path === undefined) throw new Error("usage: node scripts/schema.mjs openapi.json");
process.stdout.write(written(JSON.parse(readFileSync(path === "-" ? 0 : path, "utf8"))));
