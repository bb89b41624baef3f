import { createStore, entries, type UseStore } from "idb-keyval";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ApiProblem, OfflineFault } from "@/api/http";
import { blake3 } from "@/model/blake3";
import { eventually } from "@/test/eventually";
import { useNotices } from "./notices";
import { Outbox, useOutbox } from "./outbox";

let store: UseStore;
let count = 0;
/** The server: what it has, and what it says to the next pictures. */
let there: string[];
let fault: Error | null;
const open: Outbox[] = [];

beforeEach(() => {
  store = createStore(`outbox-${count++}`, "pictures");
  there = [];
  fault = null;
});

afterEach(() => {
  for (const outbox of open.splice(0)) outbox.stop();
});

async function page(): Promise<Outbox> {
  const outbox = new Outbox({
    store,
    delay: () => 5,
    send: async (file, name) => {
      if (fault !== null) throw fault;
      there.push(`${name}:${await file.text()}`);
    },
  });
  open.push(outbox);
  await outbox.start();
  return outbox;
}

function picture(text: string): Blob {
  return new Blob([text], { type: "image/png" });
}

describe("the outbox", () => {
  it("names a picture by the digest of its bytes, and sends it", async () => {
    const outbox = await page();
    const value = await outbox.keep(picture("sky"), "sky.png");
    expect(value).toBe(`upload:${blake3(new TextEncoder().encode("sky"))}/sky.png`);
    await eventually(() => expect(there).toEqual(["sky.png:sky"]));
    await eventually(async () => expect(await entries(store)).toEqual([]));
    expect(useOutbox.getState()).toEqual({ waiting: 0, isStuck: false });
  });

  it("tries again while the server is away", async () => {
    fault = new OfflineFault();
    const outbox = await page();
    const value = await outbox.keep(picture("sky"), "sky.png");
    await eventually(() => expect(useOutbox.getState()).toEqual({ waiting: 1, isStuck: true }));
    expect(outbox.address(value)).toMatch(/^blob:/);
    fault = null;
    await eventually(() => expect(there).toEqual(["sky.png:sky"]));
    await eventually(() => expect(outbox.address(value)).toBeNull());
  });

  it("sends after a reload what the page before couldn't, in its order", async () => {
    fault = new OfflineFault();
    const before = await page();
    for (const name of ["a", "b", "c"]) await before.keep(picture(name), `${name}.png`);
    before.stop();
    const after = await page();
    expect(useOutbox.getState().waiting).toBe(3);
    fault = null;
    after.retry();
    await eventually(() => expect(new Set(there).size).toBe(3));
    expect([...new Set(there)]).toEqual(["a.png:a", "b.png:b", "c.png:c"]);
  });

  it("lets what needs pictures wait for those, and for no others", async () => {
    fault = new OfflineFault();
    const outbox = await page();
    const value = await outbox.keep(picture("sky"), "sky.png");
    expect(outbox.sentFor(() => "nothing of it")).toBeNull();
    let isSent = false;
    const sent = outbox
      .sentFor(() => `{"path": "${value}"}`)
      ?.then(() => {
        isSent = true;
      });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isSent).toBe(false);
    fault = null;
    await sent;
    expect(there).toEqual(["sky.png:sky"]);
  });

  it("sends the same picture once", async () => {
    const outbox = await page();
    await outbox.keep(picture("sky"), "sky.png");
    await eventually(() => expect(useOutbox.getState().waiting).toBe(0));
    await outbox.keep(picture("sky"), "again.png");
    await outbox.keep(picture("sea"), "sea.png");
    await eventually(() => expect(there).toEqual(["sky.png:sky", "sea.png:sea"]));
  });

  it("says so where the server takes no such file, and goes on with the next", async () => {
    fault = new ApiProblem({ status: 413, title: "too large" });
    const outbox = await page();
    await outbox.keep(picture("sky"), "sky.png");
    await eventually(() => expect(useOutbox.getState().waiting).toBe(0));
    expect(JSON.stringify(useNotices.getState())).toContain("sky.png");
    fault = null;
    await outbox.keep(picture("sea"), "sea.png");
    await eventually(() => expect(there).toEqual(["sea.png:sea"]));
  });
});
