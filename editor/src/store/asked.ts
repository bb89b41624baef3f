/**
 * The problems that somebody asked about, by a run or by going to them.
 *
 * A card that was just put down lacks everything: until then that is told quietly.
 */
import { useCallback } from "react";
import { create } from "zustand";
import type { Finding } from "@/api/schema";
import { useDocuments } from "./documents";
import { isQuiet, usePlan } from "./plan";

/** Codes of what each graph lacks while it is made. */
const UNFINISHED: ReadonlySet<string> = new Set(["missing-input", "no-output"]);

interface Asked {
  /** By document. */
  readonly keys: ReadonlyMap<string, ReadonlySet<string>>;
}

export const useAsked = create<Asked>()(() => ({ keys: new Map() }));

/** Tell these loudly from now on; what comes up later is quiet again. */
export function askAbout(document: string, findings: readonly Finding[]): void {
  const keys = new Map(useAsked.getState().keys);
  keys.set(document, new Set(findings.map(keyOf)));
  useAsked.setState({ keys });
}

/** What is told quietly in the active document: what isn't finished, and what nobody asked about. */
export function useQuietly(): (finding: Finding) => boolean {
  const document = useDocuments((documents) => documents.active);
  const isCalm = usePlan(isQuiet);
  const keys = useAsked((asked) => asked.keys.get(document));
  return useCallback(
    (finding) => {
      const isAsked = keys?.has(keyOf(finding)) ?? false;
      return !isAsked && (isCalm || UNFINISHED.has(finding.code));
    },
    [keys, isCalm],
  );
}

function keyOf({ node, port, code }: Finding): string {
  return `${node}.${port}:${code}`;
}
