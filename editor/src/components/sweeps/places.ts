/** The inputs of a workflow that can be run with several values. */
import type { Option } from "@/components/ui";
import { t } from "@/i18n";
import { isLink, literalOf } from "@/model/links";
import { defaultOf, type InputSpec, type NodeTypes, typeOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { Workflow } from "@/model/workflow";

export interface SweptInput extends Option {
  readonly kind: "number" | "text";
  readonly example: string;
}

/** The parameters first, then every other one that isn't linked. */
export function sweptInputs(workflow: Workflow, types: NodeTypes): readonly SweptInput[] {
  const parameters = new Map([...workflow.parameters].map(([name, { input }]) => [input, name]));
  const found = [...workflow.nodes].flatMap(([node, entry]): SweptInput[] =>
    (typeOf(types, workflow, entry)?.inputs ?? []).flatMap((input): SweptInput[] => {
      const given = entry.inputs.get(input.name);
      const kind = kindOf(input);
      if (kind === null || isLink(given)) return [];
      const value = `${node}.${input.name}`;
      const name = parameters.get(value);
      const now = given === undefined ? defaultOf(input) : literalOf(given);
      return [
        {
          value,
          kind,
          label: name ?? value,
          hint: name === undefined ? undefined : value,
          group: t(name === undefined ? "sweeps.others" : "sweeps.parameters"),
          example: kind === "number" ? "1..4" : String(now ?? ""),
        },
      ];
    }),
  );
  const rank = (place: SweptInput) => (parameters.has(place.value) ? 0 : 1);
  return found.toSorted((a, b) => rank(a) - rank(b));
}

/** Whether values of an input can be written in a line. */
export function canSweep(input: InputSpec): boolean {
  return kindOf(input) !== null;
}

function kindOf(input: InputSpec): SweptInput["kind"] | null {
  const widget = widgetOf(input);
  if (widget?.kind === "number" || widget?.kind === "seed") return "number";
  if (widget?.kind === "text" || widget?.kind === "choice" || widget?.kind === "file")
    return "text";
  return null;
}
