import { afterEach, expect, test } from "vitest";
import { readStored, writeStored } from "@/store/persisted";
import { addressOf, loginPlace } from "./http";
import { socketAddress } from "./socket";

function offeredBelow(path: string): void {
  document.head.innerHTML = `<meta name="root-path" content="${path}" />`;
}

afterEach(() => {
  document.head.innerHTML = "";
  localStorage.clear();
});

test("a server at a host's root is asked there", () => {
  const { origin, host } = window.location;
  for (const begin of [() => undefined, () => offeredBelow("")]) {
    begin();
    expect(addressOf("/jobs", { limit: 2 })).toBe("/api/v1/jobs?limit=2");
    expect(socketAddress()).toBe(`ws://${host}/api/v1/events`);
    expect(new URL(loginPlace(), origin).pathname).toBe("/login");
  }
});

test("below a path everything that is asked for is below it", () => {
  const { origin, host } = window.location;
  offeredBelow("/studio");
  expect(addressOf("/jobs", { limit: 2 })).toBe("/studio/api/v1/jobs?limit=2");
  expect(socketAddress()).toBe(`ws://${host}/studio/api/v1/events`);
  expect(new URL(loginPlace(), origin).pathname).toBe("/studio/login");
});

test("servers below several paths of a host share nothing that the browser keeps", () => {
  writeStored("nodegraph.settings", { theme: "dark" });
  offeredBelow("/studio");
  expect(readStored("nodegraph.settings")).toBeNull();
  writeStored("nodegraph.settings", { theme: "light" });
  offeredBelow("");
  expect(readStored("nodegraph.settings")).toEqual({ theme: "dark" });
});
