/** Who else has a document open, and whether its changes reach the server at once. */
import { create } from "zustand";
import type { DraftMember } from "@/api/socket";

export interface Company {
  /** The other windows, the longest there first. */
  readonly others: readonly DraftMember[];
  /** "live": changes are on the server as soon as they are made; "alone": they stay here. */
  readonly state: "live" | "alone";
  /** Why the server didn't take the last change, in its words; null if it did. */
  readonly refusal: string | null;
}

export const ALONE: Company = { others: [], state: "alone", refusal: null };

interface Companies {
  readonly byDocument: ReadonlyMap<string, Company>;
}

export const useCompanies = create<Companies>()(() => ({ byDocument: new Map() }));

export function companyOf(document: string): Company {
  return useCompanies.getState().byDocument.get(document) ?? ALONE;
}

export function useCompany(document: string): Company {
  return useCompanies((state) => state.byDocument.get(document) ?? ALONE);
}

/** Say what is known of a document's company; null when it is closed. */
export function setCompany(document: string, change: Partial<Company> | null): void {
  useCompanies.setState(({ byDocument }) => {
    const found = new Map(byDocument);
    if (change === null) found.delete(document);
    else found.set(document, { ...(byDocument.get(document) ?? ALONE), ...change });
    return { byDocument: found };
  });
}

/** A color for each window, the same for everybody who sees it. */
export function memberColor(member: string): string {
  let sum = 0;
  for (const letter of member) sum = (sum * 31 + letter.charCodeAt(0)) % 360;
  return `oklch(0.65 0.16 ${sum})`;
}
