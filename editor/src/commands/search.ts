/** Searching: everything in one box, or what is in the workflow, and going on through that. */
import { Search } from "lucide-react";
import { useUi } from "@/store/ui";
import type { Command } from "./registry";

/** Fetched when it is first needed, as the search is. */
async function goOn(by: 1 | -1): Promise<void> {
  const { step } = await import("@/components/search/stepping");
  step(by);
}

export const commands: readonly Command[] = [
  {
    id: "search.everything",
    label: "search.title",
    group: "edit",
    keys: ["mod+k", "f1"],
    icon: Search,
    inText: true,
    run: () => useUi.getState().openDialog("search"),
  },
  {
    id: "search.graph",
    label: "search.graph",
    group: "edit",
    keys: ["mod+f"],
    inText: true,
    run: () => useUi.getState().openDialog("search", { kind: "graph" }),
  },
  {
    id: "search.next",
    label: "search.next",
    group: "edit",
    keys: ["f3"],
    inText: true,
    repeats: true,
    run: () => goOn(1),
  },
  {
    id: "search.previous",
    label: "search.previous",
    group: "edit",
    keys: ["shift+f3"],
    inText: true,
    repeats: true,
    run: () => goOn(-1),
  },
];
