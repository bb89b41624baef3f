/** Inputs that a picture can be given to. */
import { fit } from "../compat";
import { isLink, type Target, targetText } from "../links";
import { nodesOf } from "../scope";
import { type NodeTypes, typeOf } from "../spec";
import { ANY } from "../types";
import type { Workflow } from "../workflow";
import type { Ground } from "./chain";

const IMAGE = { type: "Image" } as const;

/** The one input for pictures without a link that some nodes have; null if there are none, or several. */
export function freePicturePort(ground: Ground, names: Iterable<string>): Target | null {
  const { workflow, scope, types } = ground;
  const nodes = nodesOf(workflow, scope);
  const free = [...names].flatMap((node) => {
    const entry = nodes.get(node);
    const inputs = entry ? (typeOf(types, workflow, entry)?.inputs ?? []) : [];
    return inputs
      .filter(({ type, name }) => takesPicture(types, type) && !isLink(entry?.inputs.get(name)))
      .map(({ name, required }) => ({ node, port: name, required }));
  });
  const wanted = free.filter(({ required }) => required);
  const [only, ...others] = wanted.length > 0 ? wanted : free;
  return only && others.length === 0 ? { node: only.node, port: only.port } : null;
}

/** Whether a picture fits an input as it is. */
export function takesPicture(types: NodeTypes, type: string): boolean {
  if (type === ANY) return false;
  const found = fit(types, IMAGE, { type });
  return found.fits && !found.maps && found.conversion === null;
}

/** An input of a workflow that reads a picture's file. */
export interface PictureInput {
  /** "node.port". */
  readonly target: string;
  /** Of the parameter that it is, or else the node's and the input's name. */
  readonly label: string;
  readonly isParameter: boolean;
}

/** The pictures that a workflow reads, parameters first. */
export function pictureInputs(workflow: Workflow, types: NodeTypes): readonly PictureInput[] {
  const parameters = new Map(
    [...workflow.parameters].map(([name, { input, label }]) => [input, label || name]),
  );
  const found = [...workflow.nodes].flatMap(([node, entry]) =>
    (typeOf(types, workflow, entry)?.inputs ?? [])
      .filter((input) => input.widget === "file:image" && !isLink(entry.inputs.get(input.name)))
      .map(({ name }) => {
        const target = targetText({ node, port: name });
        const label = parameters.get(target);
        const shown = entry.label === "" ? target : `${entry.label} · ${name}`;
        return { target, label: label ?? shown, isParameter: label !== undefined };
      }),
  );
  return found.toSorted((a, b) => Number(b.isParameter) - Number(a.isParameter));
}
