/** Prompts that were run, kept in this browser. */
import { literalOf } from "@/model/links";
import { nodesOf, scopesOf } from "@/model/scope";
import { typeOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import { readStored, writeStored } from "./persisted";
import { useSettings } from "./settings";

const KEY = "nodegraph.prompts";
const MOST_KEPT = 200;
const LONGEST = 4000;

/** The newest first. */
export function keptPrompts(): readonly string[] {
  const found = readStored(KEY);
  return Array.isArray(found) ? found.filter((each) => typeof each === "string") : [];
}

/** Keep those of a workflow, where the browser may keep what is done. */
export function rememberPrompts(workflow: Workflow): void {
  if (!useSettings.getState().autosave) return;
  const texts = promptsIn(workflow);
  if (texts.length === 0) return;
  const all = [...new Set([...texts, ...keptPrompts()])];
  writeStored(KEY, all.slice(0, MOST_KEPT));
}

export function forgetPrompts(): void {
  writeStored(KEY, []);
}

function promptsIn(workflow: Workflow): readonly string[] {
  const { types } = useCatalogue.getState();
  if (types === null) return [];
  return scopesOf(workflow).flatMap((scope) =>
    [...nodesOf(workflow, scope).values()].flatMap((entry) => {
      const inputs = typeOf(types, workflow, entry)?.inputs ?? [];
      return inputs.flatMap((input) => {
        const widget = widgetOf(input);
        if (widget?.kind !== "text" || !widget.prompt) return [];
        const text = literalOf(entry.inputs.get(input.name));
        const isKept = typeof text === "string" && text.trim() !== "" && text.length <= LONGEST;
        return isKept ? [text.trim()] : [];
      });
    }),
  );
}
