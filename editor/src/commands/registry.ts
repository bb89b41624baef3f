/**
 * Everything that can be done, by name: menus, the palette, keys and buttons all run commands.
 *
 * Groups that have a heading in menus and in the list of keys: file, edit, select, arrange, nodes,
 * view, run, panels, help, parameters. Labels are i18n keys.
 */
import type { LucideIcon } from "lucide-react";
import { useSettings } from "@/store/settings";
import { chordsOf, isInteractive, isTextField, normalChord } from "./keys";

export interface Command {
  readonly id: string;
  /** An i18n key. */
  readonly label: string;
  readonly group: string;
  /** The usual keys, "mod+z": mod is Ctrl, or Cmd on a Mac. The person may choose others. */
  readonly keys?: readonly string[];
  readonly icon?: LucideIcon;
  /** Whether its keys work while a text is being typed. */
  readonly inText?: boolean;
  /** Whether holding the key repeats it. */
  readonly repeats?: boolean;
  readonly danger?: boolean;
  /** The browser itself answers the usual keys, and tells the page by an event such as "paste". */
  readonly native?: boolean;
  /** Not listed in the command palette (it needs a context, or is only a key). */
  readonly hidden?: boolean;
  readonly when?: () => boolean;
  readonly run: (context?: unknown) => void | Promise<void>;
  readonly checked?: () => boolean;
}

const commands = new Map<string, Command>();
const listeners = new Set<() => void>();
let failed: (fault: unknown, command: Command) => void = () => undefined;

/** Add commands, replacing those of the same id; gives the way to take them out again. */
export function registerCommands(list: readonly Command[]): () => void {
  for (const command of list) commands.set(command.id, command);
  tell();
  return () => {
    for (const command of list) {
      if (commands.get(command.id) === command) commands.delete(command.id);
    }
    tell();
  };
}

function tell(): void {
  for (const listener of listeners) listener();
}

export function onCommandsChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Say what happens when a command fails: the shell shows a notice. */
export function onCommandFault(handler: (fault: unknown, command: Command) => void): void {
  failed = handler;
}

export function commandById(id: string): Command | null {
  return commands.get(id) ?? null;
}

export function allCommands(): readonly Command[] {
  return [...commands.values()];
}

export function canRun(command: Command): boolean {
  return command.when?.() ?? true;
}

/** Run a command by its id. True when there is such a command and it may run now. */
export function run(id: string, context?: unknown): boolean {
  const command = commands.get(id);
  if (!command || !canRun(command)) return false;
  void runSafely(command, context);
  return true;
}

async function runSafely(command: Command, context: unknown): Promise<void> {
  try {
    await command.run(context);
  } catch (fault) {
    failed(fault, command);
  }
}

/** The keys that a command has now: the person's, else the usual. */
export function keysOf(command: Command): readonly string[] {
  return useSettings.getState().keymap[command.id] ?? command.keys ?? [];
}

/** The commands that have this key, besides one. */
export function commandsWithKey(chord: string, besides = ""): readonly Command[] {
  const wanted = normalChord(chord);
  return allCommands().filter(
    (command) =>
      command.id !== besides && keysOf(command).some((key) => normalChord(key) === wanted),
  );
}

/** The command that a key press means here and now, or null. */
export function commandFor(event: KeyboardEvent): Command | null {
  if (event.defaultPrevented) return null;
  const typing = isTextField(event.target);
  const chords = chordsOf(event);
  if (!typing && isInteractive(event.target, chords)) return null;
  for (const chord of chords) {
    const found = commandsWithKey(chord).find(
      (command) => isMeant(command, typing, event.repeat) && !isNative(command, chord),
    );
    if (found) return found;
  }
  return null;
}

function isNative(command: Command, chord: string): boolean {
  return command.native === true && (command.keys ?? []).some((key) => normalChord(key) === chord);
}

function isMeant(command: Command, typing: boolean, repeated: boolean): boolean {
  if (typing && !command.inText) return false;
  if (repeated && !command.repeats) return false;
  return canRun(command);
}
