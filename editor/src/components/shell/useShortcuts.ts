import { useEffect } from "react";
import { commandFor, run } from "@/commands";

/** Keys run commands, except while a dialog or a menu has the page. */
export function useShortcuts(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (document.querySelector("dialog[open], [data-menu], [data-captures-keys]")) return;
      const command = commandFor(event);
      if (command && run(command.id)) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
