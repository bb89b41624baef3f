/** What the editor can do about a problem by itself: each mend is one edit. */
import { converterBetween, fit, giverOf } from "./compat";
import { addNode, connect, retype, setInput, shortLink } from "./edits";
import { upstream } from "./graph";
import type { Json } from "./json";
import { layoutOf, type Point } from "./layout";
import { linkOf } from "./links";
import type { Finding, Mend, Situation } from "./mendTypes";
import { nodeOf, nodesOf, type Scope } from "./scope";
import { type InputSpec, inputOf, labelOf, typeOf } from "./spec";
import { chooseOutput, openCircle, runAgain, unlinking, usualMends } from "./usualMends";
import { widgetOf } from "./widgets";
import type { Workflow } from "./workflow";

export type { Choice, Finding, Mend, Situation } from "./mendTypes";

type Mender = (finding: Finding, situation: Situation) => readonly Mend[];

const MENDERS: Readonly<Record<string, Mender>> = {
  "unknown-node-type": otherType,
  "unknown-input": otherInput,
  "unknown-output": otherOutput,
  "missing-input": (finding, situation) => [
    ...giveLink(finding, situation),
    ...addGiver(finding, situation),
    ...fillIn(finding, situation),
  ],
  "wrong-type": (finding, situation) => [
    ...giveLink(finding, situation),
    ...between(finding, situation),
  ],
  "not-a-choice": choose,
  "model-not-found": (finding, situation) => [
    { label: "panels.mend.getModel", values: {}, opens: "models" },
    ...choose(finding, situation),
    ...fillIn(finding, situation),
  ],
  "out-of-range": intoRange,
  "not-a-multiple": intoRange,
  "untrained-size": toTrainedSize,
  "unknown-node": (finding, situation) => [
    ...giveLink(finding, situation),
    ...addGiver(finding, situation),
    ...usualMends(finding, situation),
  ],
  "link-needed": (finding, situation) => [
    ...giveLink(finding, situation),
    ...addGiver(finding, situation),
    ...usualMends(finding, situation),
  ],
  "ambiguous-output": chooseOutput,
  "nothing-to-pass": runAgain,
  cycle: openCircle,
};

/** What mends a problem of a node, the likeliest first; never nothing. */
export function mendsOf(finding: Finding, situation: Situation): readonly Mend[] {
  if (nodeOf(situation.workflow, situation.scope, situation.node) === null) return [];
  const found = MENDERS[finding.code]?.(finding, situation) ?? [];
  return found.length > 0 ? found : usualMends(finding, situation);
}

/** The name that the hint takes for meant. */
function meantBy(hint: string | null | undefined): string | null {
  return /Did you mean `([^`]+)`/.exec(hint ?? "")?.[1] ?? null;
}

function otherType(finding: Finding, { scope, node, types }: Situation): readonly Mend[] {
  const other: Mend = { label: "panels.mend.replace", values: {}, opens: "types" };
  const spec = types.byName.get(meantBy(finding.hint) ?? "");
  if (spec === undefined) return [other];
  const change: Mend = {
    label: "panels.mend.type",
    values: { type: labelOf(spec) },
    edit: (w) => retype(w, scope, node, spec, types),
  };
  return [change, other];
}

function otherInput(finding: Finding, { scope, node }: Situation): readonly Mend[] {
  const { port } = finding;
  if (!port) return [];
  const name = meantBy(finding.hint);
  const drop: Mend = {
    label: "panels.mend.dropInput",
    values: { port },
    edit: (w) => setInput(w, scope, node, port, undefined),
  };
  if (name === null) return [drop];
  const rename: Mend = {
    label: "panels.mend.renameInput",
    values: { port, name },
    edit: (w) => {
      const value = nodeOf(w, scope, node)?.inputs.get(port);
      return setInput(setInput(w, scope, node, port, undefined), scope, node, name, value);
    },
  };
  return [rename, drop];
}

function otherOutput(finding: Finding, { workflow, scope, node }: Situation): readonly Mend[] {
  const { port } = finding;
  const link = port ? linkOf(nodeOf(workflow, scope, node)?.inputs.get(port)) : null;
  if (!port || link === null) return [];
  const name = meantBy(finding.hint);
  const unlink = unlinking(scope, node, port);
  if (name === null) return [unlink];
  return [
    {
      label: "panels.mend.output",
      values: { name: `${link.node}.${name}` },
      edit: (w) => connect(w, scope, { node: link.node, port: name }, { node, port }),
    },
    unlink,
  ];
}

/** The hint names outputs in the workflow that would fit: {"from": "size.latent"}. */
function giveLink(finding: Finding, { scope, node }: Situation): readonly Mend[] {
  const { port } = finding;
  if (!port) return [];
  const found = [...(finding.hint ?? "").matchAll(/"from": "([^".]+)(?:\.([^"]+))?"/g)];
  return found.slice(0, 3).map(([, source = "", output = ""]) => ({
    label: "panels.mend.link",
    values: { name: output === "" ? source : `${source}.${output}` },
    edit: (w) => connect(w, scope, { node: source, port: output }, { node, port }),
  }));
}

const GIVER_LEFT = 340;

/** Add the node whose output people link there most. */
function addGiver(finding: Finding, { workflow, scope, node, types }: Situation): readonly Mend[] {
  const entry = nodeOf(workflow, scope, node);
  const spec = entry && typeOf(types, workflow, entry);
  const input = spec && finding.port ? inputOf(spec, finding.port) : null;
  if (!spec || !input || isFilledIn(input)) return [];
  const giver = giverOf(types, { type: input.type, port: `${spec.type}.${input.name}` });
  const output = giver?.outputs.find((item) => fit(types, item, input).fits);
  if (!giver || !output) return [];
  const add = (w: Workflow, at?: Point) => {
    const { x, y } = layoutOf(w, scope).positions.get(node) ?? { x: 0, y: 0 };
    const place = at ?? { x: x - GIVER_LEFT, y };
    const added = addNode(w, scope, { type: giver.type, at: place });
    const link = shortLink(giver, { node: added.name, port: output.name });
    return connect(added.workflow, scope, link, { node, port: input.name });
  };
  return [{ label: "panels.mend.add", values: { type: labelOf(giver) }, edit: add }];
}

/** Lead to the field, where a value can be written or chosen. */
function fillIn(finding: Finding, { workflow, scope, node, types }: Situation): readonly Mend[] {
  const entry = nodeOf(workflow, scope, node);
  const spec = entry && typeOf(types, workflow, entry);
  const input = spec && finding.port ? inputOf(spec, finding.port) : null;
  if (!input || !isFilledIn(input)) return [];
  const isModel = finding.code === "model-not-found";
  const label = isModel ? "panels.mend.otherModel" : "panels.mend.fillIn";
  return [{ label, values: { port: input.name.replaceAll("_", " ") }, opens: "field" }];
}

/** Whether people give the input in a field, and need no link. */
function isFilledIn(input: InputSpec): boolean {
  return widgetOf(input) !== null;
}

/** Put the node between that makes the one type of the other; or take the link away. */
function between(finding: Finding, situation: Situation): readonly Mend[] {
  const { workflow, scope, node, types } = situation;
  const { port, given, expected } = finding;
  const link = port ? linkOf(nodeOf(workflow, scope, node)?.inputs.get(port)) : null;
  if (!port || link === null) return [];
  const unlink = unlinking(scope, node, port);
  const spec = given && expected ? converterBetween(types, given, expected) : null;
  if (spec === null) return [unlink];
  const input = spec.inputs.find((item) => fit(types, { type: given ?? "" }, item).fits);
  const output = spec.outputs.find((item) => fit(types, item, { type: expected ?? "" }).fits);
  if (input === undefined || output === undefined) return [unlink];
  const insert = (w: Workflow) => {
    const { positions } = layoutOf(w, scope);
    const [a, b] = [positions.get(link.node), positions.get(node)];
    const at = a && b ? { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } : { x: 0, y: 0 };
    const added = addNode(w, scope, { type: spec.type, at });
    const fed = connect(added.workflow, scope, link, { node: added.name, port: input.name });
    return connect(fed, scope, { node: added.name, port: output.name }, { node, port });
  };
  const label = spec.label || spec.type;
  return [{ label: "panels.mend.between", values: { type: label }, edit: insert }, unlink];
}

/** One of the allowed values: the nearest, or the only one. */
function choose(finding: Finding, { scope, node }: Situation): readonly Mend[] {
  const { port } = finding;
  const listed = finding.expected ?? /^Valid: ([^.]+)/.exec(finding.hint ?? "")?.[1] ?? "";
  const choices = listed.split(", ").filter((choice) => choice !== "" && !choice.includes(" "));
  if (!port || choices.length === 0) return [];
  const given = (finding.given ?? "").replace(/^"|"$/g, "");
  const meant = meantBy(finding.hint) ?? nearest(given, choices);
  return [setting(scope, node, port, meant)];
}

function intoRange(finding: Finding, situation: Situation): readonly Mend[] {
  const { workflow, scope, node, types } = situation;
  const entry = nodeOf(workflow, scope, node);
  const spec = entry === null ? null : typeOf(types, workflow, entry);
  const input = spec && finding.port ? inputOf(spec, finding.port) : null;
  const given = Number(finding.given);
  if (!input || !Number.isFinite(given)) return [];
  const value = clamped(given, input.json_schema ?? {});
  return value === given ? [] : [setting(scope, node, input.name, value)];
}

/** Set the size where the image begins: in the nearest node before the input that has fields for it. */
function toTrainedSize(finding: Finding, { workflow, scope, node, types }: Situation) {
  const otherModel: Mend = { label: "panels.mend.otherModel", values: {}, opens: "models" };
  const { port, expected } = finding;
  const link = port ? linkOf(nodeOf(workflow, scope, node)?.inputs.get(port)) : null;
  const size = /(\d+) x (\d+)/.exec(expected ?? "");
  if (link === null || size === null) return [otherModel];
  const sides = { width: Number(size[1]), height: Number(size[2]) };
  const start = [...upstream(nodesOf(workflow, scope), [link.node])].find((name) => {
    const entry = nodeOf(workflow, scope, name);
    const spec = entry && typeOf(types, workflow, entry);
    return Object.keys(sides).every((side) => {
      const input = spec && inputOf(spec, side);
      return input && isFilledIn(input) && linkOf(entry?.inputs.get(side)) === null;
    });
  });
  if (start === undefined) return [otherModel];
  const value = `${sides.width} × ${sides.height}`;
  const edit = (w: Workflow) =>
    Object.entries(sides).reduce(
      (made, [side, pixels]) => setInput(made, scope, start, side, pixels),
      w,
    );
  return [{ label: "panels.mend.set", values: { port: start, value }, edit }];
}

function clamped(value: number, schema: Readonly<Record<string, unknown>>): number {
  const { minimum, maximum, multipleOf } = schema;
  let found = value;
  if (typeof multipleOf === "number" && multipleOf > 0) {
    found = Math.round(found / multipleOf) * multipleOf;
  }
  if (typeof minimum === "number") found = Math.max(found, minimum);
  if (typeof maximum === "number") found = Math.min(found, maximum);
  return found;
}

function setting(scope: Scope, node: string, port: string, value: Json): Mend {
  return {
    label: "panels.mend.set",
    values: { port, value: String(value) },
    edit: (w) => setInput(w, scope, node, port, value),
  };
}

function nearest(word: string, choices: readonly string[]): string {
  const [first = ""] = choices;
  return choices.reduce(
    (best, choice) => (apart(word, choice) < apart(word, best) ? choice : best),
    first,
  );
}

/** Levenshtein's distance. */
function apart(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
