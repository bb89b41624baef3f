/** What led to a result: values of its own sampling, and parameters of nodes that it depends on. */
import { upstream } from "@/model/graph";
import { isLink, type Link, linkOf } from "@/model/links";
import type { Workflow } from "@/model/workflow";
import { literalsOf } from "./differences";
import { type SpecOf, withoutBlocks } from "./withoutBlocks";

export type { SpecOf } from "./withoutBlocks";

export interface NamedValue {
  readonly name: string;
  readonly value: string;
}

/** A value of a sampling: inputs that hold it, and the one behind which it is if there is none. */
interface Sought {
  readonly ports: readonly string[];
  readonly behind: string;
}

const SEED: Sought = { ports: ["seed"], behind: "noise" };
const STEPS: Sought = { ports: ["steps", "num_inference_steps"], behind: "schedule" };
/** Of the sampler first. */
const SAMPLING: readonly Sought[] = [
  SEED,
  STEPS,
  { ports: ["cfg", "guidance_scale"], behind: "guider" },
  { ports: ["sampler"], behind: "sampler" },
  { ports: ["schedule"], behind: "schedule" },
  { ports: ["denoise"], behind: "schedule" },
];
/** Categories whose nodes sample even where they declare no steps. */
const SAMPLERS = /^(sampling|pipelines\/.*)$/;
const SAMPLED = /\b(Latent|Image|Video|Audio)\b/;
const SEEDS = 2n ** 64n;

/** Where a value lies; with the value itself where it isn't written there. */
interface Found {
  /** What the sampling calls it. */
  readonly name: string;
  readonly place: string;
  readonly value?: string;
}

/**
 * Those of the nearest sampling first, then parameters, those of near nodes first.
 *
 * Of a node that the workflow doesn't have, all parameters. What a sampling leaves to its defaults
 * is told by the specs; no other sampling's values stand for them.
 */
export function madeWith(
  whole: Workflow,
  path: string,
  specOf: SpecOf = () => null,
): readonly NamedValue[] {
  const { workflow, node } = withoutBlocks(whole, path, specOf);
  const labels = new Map(
    [...workflow.parameters].map(([name, each]) => [each.input, each.label || name]),
  );
  const values = new Map(literalsOf(workflow).map(({ place, value }) => [place, value]));
  // Nearest first, as it is walked from the node.
  const behind = workflow.nodes.has(node) ? [...upstream(workflow.nodes, [node])] : null;
  const rank = (place: string) =>
    behind === null ? 0 : behind.indexOf(place.slice(0, place.indexOf(".")));
  const samplings = new Samplings(workflow, specOf, values);
  const sampling = behind?.find((name) => samplings.has(name));
  const near = SAMPLING.flatMap((sought) => {
    const found = sampling === undefined ? null : samplings.find(sampling, sought);
    return found === null ? [] : [found];
  });
  const others = [...labels.keys()]
    .filter((place) => rank(place) >= 0 && !near.some((each) => each.place === place))
    .sort((a, b) => rank(a) - rank(b));

  const named = new Map<string, string>();
  // A parameter of another sampling may be called as a value that this one doesn't show.
  const taken = new Set(sampling === undefined ? [] : SAMPLING.flatMap(({ ports }) => ports));
  for (const { name: port, place, value = samplings.valueAt(place) } of near) {
    const name = labels.get(place) ?? port;
    if (value !== undefined) named.set(named.has(name) ? place : name, value);
  }
  for (const place of others) {
    const value = samplings.valueAt(place);
    const name = labels.get(place) ?? "";
    if (value !== undefined) named.set(named.has(name) || taken.has(name) ? place : name, value);
  }
  return [...named].map(([name, value]) => ({ name, value }));
}

/** Which nodes of a workflow sample, and by which values. */
class Samplings {
  constructor(
    private readonly workflow: Workflow,
    private readonly specOf: SpecOf,
    private readonly values: ReadonlyMap<string, string>,
  ) {}

  /** Whether a node samples, by what it declares. */
  has(name: string): boolean {
    const entry = this.workflow.nodes.get(name);
    if (entry === undefined || entry.mode !== null) return false;
    const declares = (sought: Sought) =>
      [...sought.ports, sought.behind].some((port) => this.declares(name, port));
    if (!declares(SEED)) return false;
    const spec = this.specOf(entry);
    return (
      declares(STEPS) ||
      (spec !== null &&
        SAMPLERS.test(spec.category) &&
        spec.outputs.some(({ type }) => SAMPLED.test(type)))
    );
  }

  /** Where a value of a sampling lies: at the node, or at nodes that are linked to it. */
  find(name: string, sought: Sought, passed: ReadonlySet<string> = new Set()): Found | null {
    const entry = this.workflow.nodes.get(name);
    if (entry === undefined || entry.mode === "mute" || passed.has(name)) return null;
    const port = sought.ports.find((each) => this.declares(name, each));
    if (port !== undefined && entry.mode === null) {
      const found = this.at(name, port);
      if (found !== null) return { ...found, name: port };
      if (port !== sought.behind) return null;
    }
    const link = linkOf(entry.inputs.get(sought.behind));
    return link && this.find(link.node, sought, new Set([...passed, name]));
  }

  /** What an input is, as it is written or by default; undefined if that is nothing to show. */
  valueAt(place: string): string | undefined {
    const written = this.values.get(place);
    if (written !== undefined) return written;
    const dot = place.indexOf(".");
    const entry = this.workflow.nodes.get(place.slice(0, dot));
    const port = place.slice(dot + 1);
    if (entry === undefined || entry.inputs.has(port)) return undefined;
    const value = this.specOf(entry)?.inputs.find((input) => input.name === port)?.default;
    return typeof value === "number" || typeof value === "string" ? String(value) : undefined;
  }

  private declares(name: string, port: string): boolean {
    const entry = this.workflow.nodes.get(name);
    if (entry === undefined) return false;
    if (entry.inputs.has(port)) return true;
    return this.specOf(entry)?.inputs.some((input) => input.name === port) === true;
  }

  private at(name: string, port: string): Found | null {
    const value = this.workflow.nodes.get(name)?.inputs.get(port);
    if (!isLink(value)) return { name: port, place: `${name}.${port}` };
    const link = linkOf(value);
    return link && this.passedOn(link);
  }

  /** The value that a node passes on as it is; null of one that computes something. */
  private passedOn({ node }: Link): Found | null {
    const entry = this.workflow.nodes.get(node);
    if (entry === undefined || entry.mode !== null) return null;
    const spec = this.specOf(entry);
    const ports = spec?.inputs.map((input) => input.name) ?? [...entry.inputs.keys()];
    if (entry.type === "Seed") return this.seedOf(node);
    const [port] = ports;
    const isSame = spec === null || spec.inputs[0]?.type === spec.outputs[0]?.type;
    return port !== undefined && ports.length === 1 && isSame ? this.at(node, port) : null;
  }

  /** What a Seed node gives: its number, with its offset added. */
  private seedOf(node: string): Found | null {
    const [seed, offset] = [this.at(node, "seed"), this.at(node, "offset")];
    const [start, more] = [seed, offset].map(
      (found) => found && (found.value ?? this.valueAt(found.place)),
    );
    if (!seed || !start || !offset) return null;
    if (more === undefined || more === "0") return { ...seed, value: start };
    try {
      const sum = (BigInt(start) + BigInt(more ?? "")) % SEEDS;
      return { ...seed, value: String((sum + SEEDS) % SEEDS) };
    } catch {
      return null;
    }
  }
}
