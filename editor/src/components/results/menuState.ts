/** The menu of a result anywhere on the page: which one, and where. */
import { create } from "zustand";
import type { ArtifactEntry } from "@/api/schema";

export interface OpenedMenu {
  readonly artifact: ArtifactEntry;
  /** Of the graph that is shown, in whose card it was clicked. */
  readonly node: string | null;
  /** In the window. */
  readonly at: { readonly x: number; readonly y: number };
}

export const useResultMenu = create<{ readonly opened: OpenedMenu | null }>()(() => ({
  opened: null,
}));

export function openResultMenu(
  artifact: ArtifactEntry,
  at: OpenedMenu["at"],
  node: string | null = null,
): void {
  useResultMenu.setState({ opened: { artifact, at, node } });
}

export function closeResultMenu(): void {
  useResultMenu.setState({ opened: null });
}
