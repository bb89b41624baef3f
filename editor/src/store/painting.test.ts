import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OfflineFault } from "@/api/http";
import { EventSocket } from "@/api/socket";
import { PLACE, SIZE, types } from "@/model/fixtures/canvas";
import { addLayer, isLayer, readCanvas, startCanvas } from "@/model/painting";
import { emptyWorkflow } from "@/model/workflow";
import { eventually } from "@/test/eventually";
import { ScriptedServer } from "@/test/scriptedServer";
import { useCatalogue } from "./catalogue";
import { setSocket } from "./connection";
import { activeDocument, currentWorkflow, useDocuments } from "./documents";
import { startOutbox } from "./outbox";
import {
  blankPicture,
  canvasTargets,
  knownSize,
  outbox,
  sampleCanvas,
  setLive,
  useOutbox,
} from "./painting";

const { upload } = vi.hoisted(() => ({ upload: vi.fn() }));

vi.mock("@/api/files", async (original) => ({ ...(await original<object>()), upload }));

let server: ScriptedServer;
let stop = () => {};

beforeEach(() => {
  server = new ScriptedServer();
  const socket = new EventSocket({ url: "ws://x", make: server.make });
  setSocket(socket);
  socket.start();
  server.now.welcome();
  useCatalogue.setState({ types });
  upload.mockRejectedValue(new OfflineFault());
  stop = startOutbox();
  const started = startCanvas({ workflow: emptyWorkflow(), scope: null, types }, null, SIZE);
  useDocuments.getState().open(started.workflow, { replaceEmpty: false });
});

afterEach(() => {
  stop();
  setSocket(null);
});

function canvas() {
  const found = readCanvas(currentWorkflow(activeDocument()), null, types);
  if (found === null) throw new Error("no canvas");
  return found;
}

test("what is painted is sampled once the server has it: the result alone", async () => {
  const value = await blankPicture();
  expect(knownSize(value)).toEqual({ width: 1, height: 1 });
  useDocuments.getState().change("add", (workflow) => {
    const layer = { value, placement: PLACE, title: "" };
    return addLayer({ workflow, scope: null, types }, canvas(), "raster", layer).workflow;
  });
  expect(canvas().entries.filter(isLayer)[0]?.picture?.value).toBe(value);
  const running = sampleCanvas();
  await eventually(() => expect(useOutbox.getState().isStuck).toBe(true));
  expect(server.now.asked("submit")).toEqual([]);
  upload.mockResolvedValue({});
  outbox().retry();
  await eventually(() => expect(server.now.asked("submit")).toHaveLength(1));
  expect(useOutbox.getState().waiting).toBe(0);
  expect(server.now.last("submit")).toMatchObject({ targets: [canvas().result] });
  server.now.reply(server.now.last("submit").id, { new: true, job: { id: "job_1" } });
  expect(await running).toEqual(["job_1"]);
});

test("a live canvas runs its edits however long they take, and the graph has its limit again", () => {
  setLive(true);
  expect(activeDocument().onChange).toEqual({ on: true, limit: null });
  setLive(false);
  expect(activeDocument().onChange).toEqual({ on: false, limit: 5 });
});

test("of a canvas its result alone is run", () => {
  expect(canvasTargets(activeDocument().id)).toEqual([canvas().result]);
});
