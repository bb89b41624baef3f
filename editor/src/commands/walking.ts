/** Going along the links of the graph by keys. */
import { canvas } from "@/components/canvas/controller";
import { focusedItem } from "@/components/canvas/focus";
import { walkNext, walkTo, walkToBefore } from "@/components/canvas/linkWalk";
import { useUi } from "@/store/ui";
import type { Command } from "./registry";

const isOnCard = (): boolean =>
  useUi.getState().view === "graph" && canvas() !== null && focusedItem() !== null;

export const commands: readonly Command[] = [
  {
    id: "links.upstream",
    label: "links.command.upstream",
    group: "select",
    keys: ["alt+shift+left"],
    when: isOnCard,
    run: () => walkTo("upstream"),
  },
  {
    id: "links.downstream",
    label: "links.command.downstream",
    group: "select",
    keys: ["alt+shift+right"],
    when: isOnCard,
    run: () => walkTo("downstream"),
  },
  {
    id: "links.next",
    label: "links.command.next",
    group: "select",
    keys: ["alt+shift+down"],
    when: isOnCard,
    run: walkNext,
  },
  {
    id: "links.back",
    label: "links.command.back",
    group: "select",
    keys: ["alt+shift+up"],
    when: isOnCard,
    run: walkToBefore,
  },
];
