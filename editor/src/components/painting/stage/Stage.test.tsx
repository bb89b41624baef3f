import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { createRef } from "react";
import { expect, it, vi } from "vitest";
import type { PaintGroup } from "@/model/painting";
import { Stage } from "./Stage";
import type { StageHandle, StageProps } from "./stageProps";
import { TEST_BOX, testCanvas, testLayer } from "./testing";
import { DEFAULT_TOOL, type ToolName } from "./tools";

function shown(name: ToolName = "brush", more: Partial<StageProps> = {}) {
  const calls = {
    onView: vi.fn<StageProps["onView"]>(),
    onPicture: vi.fn<StageProps["onPicture"]>(),
    onPlacements: vi.fn<StageProps["onPlacements"]>(),
    onBox: vi.fn<StageProps["onBox"]>(),
    onColor: vi.fn<StageProps["onColor"]>(),
    onActive: vi.fn<StageProps["onActive"]>(),
    onTool: vi.fn<StageProps["onTool"]>(),
    onSelection: vi.fn<(hasSelection: boolean) => void>(),
  };
  const ref = createRef<StageHandle>();
  render(
    <Stage
      ref={ref}
      canvas={testCanvas(testLayer("sky", { title: "Sky" }))}
      active="sky"
      tool={{ ...DEFAULT_TOOL, name }}
      pictureOf={(value) => value}
      sourceOf={() => null}
      candidate={null}
      progress={null}
      view={{ x: 0, y: 0, zoom: 1 }}
      {...calls}
      {...more}
    />,
  );
  return { ...calls, ref, stage: screen.getByRole("application") };
}

it("says which layer is painted on, and its keys", () => {
  const { stage } = shown();
  expect(stage).toHaveAccessibleName("Canvas, painting on Sky");
  expect(stage).toHaveAccessibleDescription(/B brush, E eraser/);
});

it("changes tools and colors by keys", () => {
  const { stage, onTool } = shown();
  for (const key of ["e", "]", "x"]) fireEvent.keyDown(stage, { key });
  expect(onTool.mock.calls).toEqual([
    [{ name: "eraser" }],
    [{ size: 44 }],
    [{ color: "#ffffff", background: "#000000" }],
  ]);
});

it("leaves undo to the page around it, but not Delete, which would delete nodes", () => {
  const onKeyDown = vi.fn<(event: KeyboardEvent) => void>();
  document.addEventListener("keydown", onKeyDown);
  const { stage } = shown();
  fireEvent.keyDown(stage, { key: "z", ctrlKey: true });
  fireEvent.keyDown(stage, { key: "Delete" });
  expect(onKeyDown.mock.calls.map(([{ key }]) => key)).toEqual(["z"]);
  document.removeEventListener("keydown", onKeyDown);
});

it("resizes the box by the arrow keys at its handles, in steps", async () => {
  const { onBox } = shown("box");
  screen.getByRole("button", { name: "Resize the box: right" }).focus();
  await userEvent.keyboard("{ArrowRight}");
  expect(onBox).toHaveBeenCalledWith({ ...TEST_BOX, width: 520 }, true);
});

it("moves the box and the layer by the arrow keys", () => {
  const box = shown("box");
  fireEvent.keyDown(box.stage, { key: "ArrowUp" });
  expect(box.onBox).toHaveBeenCalledWith({ ...TEST_BOX, y: -8 }, true);
});

it("moves the active layer by the arrow keys", () => {
  const { stage, onPlacements } = shown("move");
  fireEvent.keyDown(stage, { key: "ArrowLeft", shiftKey: true });
  const { placement } = testLayer("sky");
  expect(onPlacements).toHaveBeenCalledWith(new Map([["sky", { ...placement, x: -10 }]]), true);
});

it("moves all layers of the active group by the arrow keys, unless one is locked", () => {
  const group: PaintGroup = {
    ...{ node: "group", kind: "raster", title: "Group", parent: null },
    ...{ opacity: 1, mode: "normal", visible: true },
  };
  const inner = testLayer("inner", { parent: "group" });
  const canvas = testCanvas(inner, group, testLayer("sky"));
  const { stage, onPlacements } = shown("move", { canvas, active: "group" });
  fireEvent.keyDown(stage, { key: "ArrowRight" });
  expect(onPlacements.mock.calls).toEqual([
    [new Map([["inner", { ...inner.placement, x: 1 }]]), true],
  ]);
  cleanup();
  const locked = testCanvas({ ...inner, locked: true }, group);
  const still = shown("move", { canvas: locked, active: "group" });
  fireEvent.keyDown(still.stage, { key: "ArrowRight" });
  expect(still.onPlacements).not.toHaveBeenCalled();
});

it("has no box handles while another tool is chosen", () => {
  shown("brush");
  expect(screen.queryByRole("button", { name: /Resize the box/ })).toBeNull();
});

it("shows the size that is generated", () => {
  const box = { ...TEST_BOX, sampledWidth: 1024, sampledHeight: 1024 };
  shown("brush", { canvas: { ...testCanvas(), box } });
  expect(screen.getByText("512 × 512, generated at 1024 × 1024")).toBeInTheDocument();
});

it("shows the candidate and the progress", () => {
  const placement = { x: 0, y: 0, width: 512, height: 512, rotation: 0 };
  shown("brush", {
    candidate: { url: "/result.png", placement },
    progress: { preview: null, share: 0.4 },
  });
  expect(screen.getByAltText("Result that is shown on the canvas")).toBeInTheDocument();
  expect(screen.getByRole("progressbar")).toHaveAttribute("aria-valuenow", "40");
});

it("selects the box and lets the selection go", () => {
  const { stage, ref, onSelection } = shown();
  fireEvent.keyDown(stage, { key: "a", ctrlKey: true });
  expect(ref.current?.hasSelection).toBe(true);
  fireEvent.keyDown(stage, { key: "d", ctrlKey: true });
  expect(ref.current?.hasSelection).toBe(false);
  expect(onSelection.mock.calls).toEqual([[true], [false]]);
});

it("zooms about its middle by keys", () => {
  const { stage, onView } = shown();
  fireEvent.keyDown(stage, { key: "+" });
  expect(onView).toHaveBeenCalledWith(expect.objectContaining({ zoom: 1.25 }));
});
