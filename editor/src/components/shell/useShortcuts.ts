import { useEffect } from "react";
import { commandFor, run } from "@/commands";
import { useUi } from "@/store/ui";

/** Keys run commands, except while a dialog or a menu has the page. */
export function useShortcuts(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (document.querySelector("[data-modal], [data-menu], [data-captures-keys]")) return;
      const command = commandFor(event);
      if (command === null || !isMeantHere(command.id)) return;
      if (run(command.id)) event.preventDefault();
    };
    addEventListener("keydown", hold, true);
    addEventListener("keydown", press);
    return () => {
      removeEventListener("keydown", hold, true);
      removeEventListener("keydown", press);
    };
  }, []);
}

/** Where no graph is seen, nothing of it is edited: what no graph is needed for is left. */
function isMeantHere(id: string): boolean {
  const { view } = useUi.getState();
  if (view === "canvas") return ON_CANVAS.test(id);
  return view !== "generate" || WITHOUT_GRAPH.test(id);
}

const ON_CANVAS =
  /^(run|run-first|run-on-change|cancel-run|cancel-document|edit\.undo|edit\.redo|file\..*|tabs\..*|help\..*|parameters\.app|view\.(generate|canvas)|view\.theme\..*|view\.\w+Region)$/;

const WITHOUT_GRAPH =
  /^(run|cancel-run|cancel-document|file\.open|help\..*|view\.generate|view\.theme\..*|view\.\w+Region)$/;

/** What is typed before the search is drawn is for it, and not for what lies behind. */
function hold(event: KeyboardEvent): void {
  const { dialog, openDialog } = useUi.getState();
  if (dialog?.name !== "search" || document.querySelector("[data-modal]")) return;
  if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  const { typed = "" } = dialog.props;
  openDialog("search", { ...dialog.props, typed: `${typed}${event.key}` });
}
