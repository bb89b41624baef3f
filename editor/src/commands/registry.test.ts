import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bindKeys, resetSettings } from "@/store/settings";
import { eventually } from "@/test/eventually";
import {
  type Command,
  commandFor,
  commandsWithKey,
  onCommandFault,
  registerCommands,
  run,
} from "./registry";

let remove: (() => void)[] = [];

function register(command: Partial<Command> & { id: string }): Command {
  const whole = { label: "ui.close", group: "edit", run: vi.fn(), ...command };
  remove.push(registerCommands([whole]));
  return whole;
}

function press(key: string, options: KeyboardEventInit = {}, target: Element = document.body) {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...options });
  let found: Command | null = null;
  const listen = (seen: KeyboardEvent) => {
    found = commandFor(seen);
  };
  addEventListener("keydown", listen, { once: true });
  target.dispatchEvent(event);
  return found as Command | null;
}

beforeEach(resetSettings);
afterEach(() => {
  for (const each of remove) each();
  remove = [];
  document.body.replaceChildren();
});

describe("running", () => {
  it("gives the command its context", () => {
    const command = register({ id: "test.one" });
    expect(run("test.one", { node: "a" })).toBe(true);
    expect(command.run).toHaveBeenCalledWith({ node: "a" });
  });

  it("does nothing when it isn't the time, or there is no such command", () => {
    const command = register({ id: "test.one", when: () => false });
    expect(run("test.one")).toBe(false);
    expect(run("test.none")).toBe(false);
    expect(command.run).not.toHaveBeenCalled();
  });

  it("tells of a command that fails, later too", async () => {
    const told = vi.fn();
    onCommandFault(told);
    const fault = new Error("no");
    const command = register({ id: "test.one", run: () => Promise.reject(fault) });
    run("test.one");
    await eventually(() => expect(told).toHaveBeenCalledWith(fault, command));
  });
});

describe("keys", () => {
  it("find the command, with the keys of the person", () => {
    const command = register({ id: "test.one", keys: ["mod+f9"] });
    expect(press("F9", { ctrlKey: true })).toBe(command);
    bindKeys("test.one", ["f8"]);
    expect(press("F9", { ctrlKey: true })).toBeNull();
    expect(press("F8")).toBe(command);
  });

  it("are left to the text that is typed, unless the command says so", () => {
    const input = document.createElement("input");
    document.body.append(input);
    register({ id: "test.one", keys: ["f9"] });
    expect(press("F9", {}, input)).toBeNull();
    const inText = register({ id: "test.two", keys: ["f8"], inText: true });
    expect(press("F8", {}, input)).toBe(inText);
  });

  it("go to the first of several commands that may run", () => {
    register({ id: "test.one", keys: ["f9"], when: () => false });
    const second = register({ id: "test.two", keys: ["f9"] });
    expect(press("F9")).toBe(second);
  });

  it("don't repeat while held, unless the command says so", () => {
    register({ id: "test.one", keys: ["f9"] });
    const repeats = register({ id: "test.two", keys: ["f8"], repeats: true });
    expect(press("F9", { repeat: true })).toBeNull();
    expect(press("F8", { repeat: true })).toBe(repeats);
  });

  it("tell whose they are", () => {
    const command = register({ id: "test.one", keys: ["Shift+Mod+F9"] });
    expect(commandsWithKey("mod+shift+f9")).toEqual([command]);
    expect(commandsWithKey("mod+shift+f9", "test.one")).toEqual([]);
  });
});
