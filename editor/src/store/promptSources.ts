/** What prompts of a workflow can be completed with. */
import { api } from "@/api/client";
import { literalOf } from "@/model/links";
import type { EmbeddingSource, LoraSource, PromptSources } from "@/model/promptCompletion";
import { nodesOf, scopesOf } from "@/model/scope";
import { defaultOf, typeOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import { activeDocument, currentWorkflow } from "./documents";
import { keptPrompts } from "./promptHistory";
import { answerTo, question } from "./queries";
import { knownTags } from "./tagList";

/** Of the active document, unless another workflow is meant. */
export async function promptSources(
  workflow = currentWorkflow(activeDocument()),
): Promise<PromptSources> {
  const [model] = filesIn(workflow, "model");
  return {
    prompts: keptPrompts(),
    embeddings: embeddingsFor(workflow),
    loras: loras(),
    tags: await knownTags(),
    words: model === undefined ? [] : await wordsOf(model),
  };
}

/** All that the server has, whatever model they are for: that their files tell only in part. */
function loras(): readonly LoraSource[] {
  const { models } = useCatalogue.getState();
  const usable = (models ?? []).filter(({ use, problem }) => use === "lora" && problem === null);
  return usable.map(({ name, trigger_words: words }) => ({ name, words: words.join(", ") }));
}

/** None of a model that isn't there, or of a server that is gone: it is asked again next time. */
function wordsOf(name: string): Promise<readonly string[]> {
  const params = { query: { name } };
  const asked = question(["words", name], () => api.GET("/models/words", { params }));
  return answerTo(asked).then(
    ({ words }) => words,
    () => [],
  );
}

/** Those that the graph loads, by the word given for them, then what else the server has. */
function embeddingsFor(workflow: Workflow): readonly EmbeddingSource[] {
  const { models } = useCatalogue.getState();
  const listed = (models ?? []).flatMap(({ use, name }) => (use === "embedding" ? [name] : []));
  const loaded = [...tokensIn(workflow), ...filesIn(workflow, "embedding").map(wordFor)];
  const known = new Set(loaded);
  const others = listed.map((file) => ({ word: wordFor(file), file }));
  return [
    ...[...known].map((word) => ({ word, file: null })),
    ...others.filter(({ word }) => !known.has(word)),
  ];
}

/** The file's name: what most of them are called in prompts. */
function wordFor(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "");
}

/** The files of a kind that the nodes of a workflow name, each once. */
function filesIn(workflow: Workflow, kind: "model" | "embedding"): readonly string[] {
  return found(workflow, (inputs) =>
    inputs.filter(({ widget }) => widget?.kind === "file" && widget.file === kind),
  );
}

/** The words that nodes which load embeddings are told to call them. */
function tokensIn(workflow: Workflow): readonly string[] {
  return found(workflow, (inputs) => {
    const isLoader = inputs.some(
      ({ widget }) => widget?.kind === "file" && widget.file === "embedding",
    );
    return isLoader ? inputs.filter(({ name }) => name === "token") : [];
  });
}

interface Given {
  readonly name: string;
  readonly widget: ReturnType<typeof widgetOf>;
  readonly value: unknown;
}

/** Texts of the inputs chosen of each node. */
function found(
  workflow: Workflow,
  choose: (inputs: readonly Given[]) => readonly Given[],
): readonly string[] {
  const { types } = useCatalogue.getState();
  if (types === null) return [];
  const texts = scopesOf(workflow).flatMap((scope) =>
    [...nodesOf(workflow, scope).values()].flatMap((entry) => {
      const specs = typeOf(types, workflow, entry)?.inputs ?? [];
      const inputs = specs.map((input) => {
        const written = entry.inputs.get(input.name);
        const value = written === undefined ? defaultOf(input) : literalOf(written);
        return { name: input.name, widget: widgetOf(input), value };
      });
      return choose(inputs).flatMap(({ value }) =>
        typeof value === "string" && value !== "" ? [value] : [],
      );
    }),
  );
  return [...new Set(texts)];
}
