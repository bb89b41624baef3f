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
    id: "select.upstream",
    label: "links.command.upstream",
    group: "select",
    keys: ["alt+shift+left"],
    when: isOnCard,
    run: () => walkTo("upstream"),
  },
  {
    id: "select.downstream",
    label: "links.command.downstream",
    group: "select",
    keys: ["alt+shift+right"],
    when: isOnCard,
    run: () => walkTo("downstream"),
  },
  {
    id: "select.nextLink",
    label: "links.command.next",
    group: "select",
    keys: ["alt+shift+down"],
    when: isOnCard,
    run: walkNext,
  },
  {
    id: "select.backAlong",
    label: "links.command.back",
    group: "select",
    keys: ["alt+shift+up"],
    when: isOnCard,
    run: walkToBefore,
  },
];
