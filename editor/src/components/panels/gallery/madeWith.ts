/** What led to a result: values of its own sampling, and parameters of nodes that it depends on. */
import { upstream } from "@/model/graph";
import { isLink, linkOf } from "@/model/links";
import type { NodeSpec } from "@/model/spec";
import type { NodeEntry, Workflow } from "@/model/workflow";
import { literalsOf } from "./differences";

export interface NamedValue {
  readonly name: string;
  readonly value: string;
}

/** The spec of a node's type; null where it isn't known. */
export type SpecOf = (entry: NodeEntry) => NodeSpec | null;

/** Values of a sampling, each with the inputs behind which it may lie, of the sampler first. */
const SAMPLING: readonly (readonly [string, readonly string[]])[] = [
  ["seed", ["seed", "noise"]],
  ["steps", ["steps", "schedule"]],
  ["cfg", ["cfg", "guider"]],
  ["sampler", ["sampler"]],
  ["schedule", ["schedule"]],
  ["denoise", ["denoise"]],
];

/**
 * Those of the nearest sampling first, then parameters, those of near nodes first.
 *
 * Of a node that the workflow doesn't have, all parameters. What a sampling leaves to its defaults
 * is told by the specs; no other sampling's values stand for them.
 */
export function madeWith(
  workflow: Workflow,
  node: string,
  specOf: SpecOf = () => null,
): readonly NamedValue[] {
  const labels = new Map(
    [...workflow.parameters].map(([name, each]) => [each.input, each.label || name]),
  );
  const values = new Map(literalsOf(workflow).map(({ place, value }) => [place, value]));
  const [first = ""] = node.replace(/\[\d+\]/g, "").split("/");
  // Nearest first, as it is walked from the node.
  const behind = workflow.nodes.has(first) ? [...upstream(workflow.nodes, [first])] : null;
  const rank = (place: string) =>
    behind === null ? 0 : behind.indexOf(place.slice(0, place.indexOf(".")));
  const has = (name: string, port: string) => {
    const entry = workflow.nodes.get(name);
    return (
      entry !== undefined &&
      (entry.inputs.has(port) ||
        specOf(entry)?.inputs.some((input) => input.name === port) === true)
    );
  };
  const sampling = behind?.find(
    (name) =>
      (has(name, "seed") || has(name, "noise")) && (has(name, "steps") || has(name, "schedule")),
  );

  /** The input that a value lies in: the node's own, or of what is linked there. */
  const written = (name: string, port: string, through: readonly string[]): string | null => {
    const own = workflow.nodes.get(name);
    if (own === undefined) return null;
    for (const input of through) {
      const value = own.inputs.get(input);
      if (value === undefined) {
        if (input === port && has(name, port)) return `${name}.${port}`;
        continue;
      }
      if (!isLink(value)) {
        if (input === port) return `${name}.${port}`;
        continue;
      }
      const source = linkOf(value)?.node ?? "";
      const ports = input === port ? [port, "value", "number"] : [port];
      const found = ports.find((each) => has(source, each));
      if (found !== undefined) return written(source, found, [found]);
    }
    return null;
  };
  const near = SAMPLING.flatMap(([port, through]) => {
    const place = sampling === undefined ? null : written(sampling, port, through);
    return place === null ? [] : [{ port, place }];
  });
  const others = [...labels.keys()]
    .filter((place) => rank(place) >= 0 && !near.some((each) => each.place === place))
    .sort((a, b) => rank(a) - rank(b));

  const named = new Map<string, string>();
  const add = (place: string, port: string) => {
    const value = values.get(place) ?? defaultAt(workflow, place, specOf);
    if (value === undefined) return;
    const name = labels.get(place) ?? port;
    named.set(named.has(name) ? place : name, value);
  };
  for (const { place, port } of near) add(place, port);
  for (const place of others) add(place, place.slice(place.indexOf(".") + 1));
  return [...named].map(([name, value]) => ({ name, value }));
}

/** What a node's input is where nobody wrote anything; undefined if that is nothing to show. */
function defaultAt(workflow: Workflow, place: string, specOf: SpecOf): string | undefined {
  const dot = place.indexOf(".");
  const entry = workflow.nodes.get(place.slice(0, dot));
  const port = place.slice(dot + 1);
  if (entry === undefined || entry.inputs.has(port)) return undefined;
  const value = specOf(entry)?.inputs.find((input) => input.name === port)?.default;
  return typeof value === "number" || typeof value === "string" ? String(value) : undefined;
}
