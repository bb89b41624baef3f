/** A lesson: steps beside a workflow, each with a text, what it points at, and what is to be done. */
import type { Json } from "../json";
import type { Target } from "../links";

/** A text by language ("en", "zh-Hans"); English is always there. */
export type Texts = Readonly<Record<string, string>>;

/** Parts of the page that a step may point at. */
export const PARTS = ["canvas", "run", "results", "inspector", "help"] as const;

export type Part = (typeof PARTS)[number];

/** A node, one of its inputs, or a part of the page. */
export type Pointer =
  | { readonly kind: "node"; readonly node: string; readonly input: string | null }
  | { readonly kind: "part"; readonly part: Part };

/** What has to be so for a step to be done. */
export type Goal =
  | { readonly kind: "run" }
  | { readonly kind: "download" }
  | { readonly kind: "select"; readonly node: string }
  | { readonly kind: "changed"; readonly input: Target }
  | { readonly kind: "is"; readonly input: Target; readonly value: Json }
  | { readonly kind: "below" | "above"; readonly input: Target; readonly bound: number };

export interface LessonStep {
  readonly title: Texts;
  readonly text: Texts;
  readonly at: Pointer | null;
  /** All of them; none: the step is only read. */
  readonly until: readonly Goal[];
  /** Whether it lists which nodes the last run computed. */
  readonly showsRun: boolean;
}

export interface Lesson {
  readonly title: Texts;
  readonly summary: Texts;
  readonly steps: readonly LessonStep[];
}

/** A text in a language; English where the lesson lacks it. */
export function textIn(texts: Texts, language: string): string {
  return texts[language] ?? texts.en ?? "";
}

/** Names of the nodes that a lesson speaks of. */
export function nodesNamed({ steps }: Lesson): ReadonlySet<string> {
  return new Set(
    steps.flatMap(({ at, until }) => [
      ...(at?.kind === "node" ? [at.node] : []),
      ...until.flatMap((goal) => nodeOfGoal(goal) ?? []),
    ]),
  );
}

function nodeOfGoal(goal: Goal): string | null {
  if (goal.kind === "select") return goal.node;
  return "input" in goal ? goal.input.node : null;
}
