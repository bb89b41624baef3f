/** Which entry of the help explains a problem: codes by topic, as docs/errors.md has them. */

/** The codes that an entry explains, by its topic, which is also its anchor in the documentation. */
export const TOPICS: Readonly<Record<string, readonly string[]>> = {
  "missing-input": ["missing-input", "values-not-read"],
  "invalid-value": [
    "invalid-value",
    "invalid-input",
    "wrong-literal",
    "out-of-range",
    "not-a-choice",
    "not-a-multiple",
    "null-not-allowed",
  ],
  "link-needed": ["link-needed"],
  "wrong-type": ["wrong-type", "bad-type"],
  "bad-link": [
    "bad-link",
    "unknown-output",
    "ambiguous-output",
    "bad-target",
    "unknown-node",
    "doubly-fed",
  ],
  cycle: ["cycle"],
  "unknown-input": ["unknown-input"],
  "unknown-node-type": ["unknown-node-type", "missing-pack"],
  versions: ["newer-node-version", "wrong-pack-version", "bad-requirement"],
  blocks: ["unknown-subgraph", "recursive-subgraph", "too-deep", "wrong-body", "name-needed"],
  "no-output": ["no-output", "unused"],
  deprecated: ["deprecated"],
  parameters: ["bad-parameter", "unknown-parameter"],
  "workflow-file": [
    "invalid-workflow",
    "malformed",
    "bad-node-name",
    "job-unreadable",
    "workflow-missing",
  ],
  "model-not-found": ["model-not-found"],
  "family-conflict": ["family-conflict"],
  pack: ["pack", "invalid-pack", "hook-failed"],
  "out-of-memory": ["out-of-memory"],
  "not-finite": ["not-finite"],
  "invalid-file": ["invalid-file", "unreadable-picture"],
  "unsafe-file": ["unsafe-file", "path-outside"],
  "too-large": ["too-large"],
  "empty-mask": ["empty-mask"],
  "download-failed": ["download-failed", "download-running", "download-stopped", "blocked-address"],
  "service-failed": ["service-failed"],
  "output-failed": ["output-failed", "end-not-kept"],
  "node-failed": ["node-failed", "error", "internal"],
  worker: ["worker-died", "worker-protocol", "no-answer", "question-failed", "job-failed"],
  cluster: ["cluster", "files-away"],
  stopped: ["cancelled", "deadline"],
};

/** What is said of one topic in one language. */
export interface HelpText {
  readonly title: string;
  readonly what: string;
  readonly fix: string;
}

const BY_CODE: ReadonlyMap<string, string> = new Map(
  Object.entries(TOPICS).flatMap(([topic, codes]) => codes.map((code) => [code, topic] as const)),
);

/** The topic of a code; packs have codes of their own, which mean a value or a failure. */
export function topicOf(code: string, isOfRun: boolean): string {
  return BY_CODE.get(code) ?? (isOfRun ? "node-failed" : "invalid-value");
}
