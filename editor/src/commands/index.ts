/**
 * All commands: each area's file registers its own as it is imported, or exports them as `commands`.
 */
import { type Command, registerCommands } from "./registry";

const AREAS = import.meta.glob<{ readonly commands?: readonly Command[] }>(
  ["./*.ts", "!./index.ts", "!./registry.ts", "!./keys.ts", "!./groups.ts", "!./*.test.ts"],
  { eager: true },
);

for (const area of Object.values(AREAS)) {
  if (area.commands) registerCommands(area.commands);
}

export * from "./registry";
