import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { event, ScriptedServer } from "@/test/scriptedServer";
import type { JobEvent } from "./events";
import { ApiProblem, OfflineFault } from "./http";
import { EventSocket } from "./socket";

let server: ScriptedServer;
let socket: EventSocket;

beforeEach(() => {
  vi.useFakeTimers();
  server = new ScriptedServer();
  socket = new EventSocket({ url: "ws://x", make: server.make, random: () => 1 });
  socket.start();
});

afterEach(() => {
  socket.stop();
  vi.useRealTimers();
});

async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

test("it is open once the server has said welcome", () => {
  expect(socket.state).toBe("connecting");
  server.now.welcome({ version: "1.2.3" });
  expect(socket.state).toBe("open");
  expect(socket.welcome?.version).toBe("1.2.3");
});

test("answers find the requests they belong to, in any order", async () => {
  server.now.welcome();
  const first = socket.request<number>("ping");
  const second = socket.request<number>("ping");
  const [one, two] = server.now.asked("ping");
  server.now.reply(two?.id, 2);
  server.now.reply(one?.id, 1);
  expect(await Promise.all([first, second])).toEqual([1, 2]);
});

test("an error is a problem with its status and findings", async () => {
  server.now.welcome();
  const asked = socket.request("cancel", { job: "x" });
  const problems = [{ code: "job-not-found", message: "there is no such job" }];
  const problem = { type: "/problems/job-not-found", title: "No such job", status: 404, problems };
  server.now.refuse(server.now.last("cancel").id, problem);
  const error = await asked.catch((found: unknown) => found);
  expect(error).toBeInstanceOf(ApiProblem);
  expect(error).toMatchObject({ status: 404, code: "job-not-found", problems });
});

test("what is asked without a connection is sent when there is one", () => {
  socket.request("ping").catch(() => {});
  expect(server.now.asked("ping")).toHaveLength(0);
  server.now.welcome();
  expect(server.now.asked("ping")).toHaveLength(1);
});

test("a request whose answer was lost fails, unless it may be sent once more", async () => {
  server.now.welcome();
  const once = socket.request("retry", { job: "x" });
  const again = socket.request("submit", { key: "k" }, { resend: true });
  const failed = expect(once).rejects.toBeInstanceOf(OfflineFault);
  server.now.lose();
  await failed;
  await vi.advanceTimersByTimeAsync(500);
  server.now.welcome();
  expect(server.now.asked("retry")).toHaveLength(0);
  server.now.reply(server.now.last("submit").id, "done");
  expect(await again).toBe("done");
});

test("somebody who doesn't wait any more gets no answer", async () => {
  const { signal, abort } = withAbort();
  const asked = socket.request("plan", {}, { signal });
  abort();
  await expect(asked).rejects.toMatchObject({ name: "AbortError" });
  server.now.welcome();
  expect(server.now.asked("plan")).toHaveLength(0);
});

function withAbort() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

test("each heartbeat is answered, and silence is a lost connection", () => {
  server.now.welcome();
  server.now.say({ type: "heartbeat" });
  expect(server.now.asked("heartbeat")).toHaveLength(1);
  vi.advanceTimersByTime(44_000);
  expect(socket.state).toBe("open");
  vi.advanceTimersByTime(1000);
  expect(socket.state).toBe("lost");
});

test("it waits longer from try to try, and not at all when told to", () => {
  server.now.lose();
  vi.advanceTimersByTime(500);
  expect(server.sockets).toHaveLength(2);
  server.now.lose();
  vi.advanceTimersByTime(999);
  expect(server.sockets).toHaveLength(2);
  socket.retryNow();
  expect(server.sockets).toHaveLength(3);
});

test("after a loss it goes on behind the last event, telling none twice", async () => {
  const told: JobEvent[] = [];
  const opened: boolean[] = [];
  socket.follow({
    onEvents: (events) => void told.push(...events),
    onOpen: (isNew) => void opened.push(isNew),
  });
  server.now.welcome();
  server.now.reply(server.now.last("subscribe").id, { subscription: "1", after: 10, reset: false });
  await settled();
  server.now.events("1", 14, [event("job.queued", { seq: 12 })]);
  server.now.lose();
  await vi.advanceTimersByTimeAsync(500);
  server.now.welcome();
  expect(server.now.last("subscribe").after).toBe(14);
  server.now.reply(server.now.last("subscribe").id, { subscription: "1", after: 14, reset: false });
  await settled();
  server.now.events("1", 15, [event("job.claimed", { seq: 15 })]);
  expect(told.map((each) => each.seq)).toEqual([12, 15]);
  expect(opened).toEqual([true, false]);
});

test("a number that the server never gave makes all anew", async () => {
  const opened: boolean[] = [];
  const follower = { onEvents: () => {}, onOpen: (isNew: boolean) => void opened.push(isNew) };
  socket.follow(follower, { after: 900 });
  server.now.welcome();
  server.now.reply(server.now.last("subscribe").id, { subscription: "1", after: 3, reset: true });
  await settled();
  expect(opened).toEqual([true]);
  server.now.lose();
  await vi.advanceTimersByTimeAsync(500);
  server.now.welcome();
  expect(server.now.last("subscribe").after).toBe(3);
});

test("who stops following is told nothing more", async () => {
  const told: JobEvent[] = [];
  const stop = socket.follow({ onEvents: (events) => void told.push(...events) });
  server.now.welcome();
  server.now.reply(server.now.last("subscribe").id, { subscription: "1", after: 0, reset: false });
  await settled();
  stop();
  server.now.events("1", 2, [event("job.queued", { seq: 2 })]);
  expect(told).toEqual([]);
  expect(server.now.last("unsubscribe").subscription).toBe("1");
});

test("notices are handed on", () => {
  const kinds: string[] = [];
  socket.on("notice", (notice) => void kinds.push(notice.kind));
  server.now.welcome();
  server.now.say({ type: "notice", kind: "node_types.changed", data: {} });
  expect(kinds).toEqual(["node_types.changed"]);
});
