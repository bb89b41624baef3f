import { strToU8, zipSync } from "fflate";
import { expect, it } from "vitest";
import { readOpenRaster } from "./openRaster";

const CORNER = { x: 10, y: 20 };
/** The head of a PNG of 3 × 2 pixels, which is all that is looked at. */
const PNG = Uint8Array.from([
  ...[137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82],
  ...[0, 0, 0, 3, 0, 0, 0, 2],
]);

function file(stack: string, image = "<image w='9' h='9'>"): Uint8Array {
  return zipSync({
    mimetype: strToU8("image/openraster"),
    "stack.xml": strToU8(`${image}<stack>${stack}</stack></image>`),
    "data/a.png": PNG,
  });
}

it("has the layers bottom first, with their places and looks", () => {
  const read = readOpenRaster(
    file(
      "<stack name='Sky' opacity='0.5' composite-op='svg:soft-light'><layer src='data/a.png' x='-4' y='1' visibility='hidden' name='Sun'/></stack><layer src='data/a.png' name='Sea' composite-op='svg:plus'/>",
    ),
    CORNER,
  );
  expect(read?.messages).toEqual([]);
  expect(read?.items).toMatchObject([
    { title: "Sea", mode: "add", opacity: 1, visible: true, placement: { x: 10, y: 20, width: 3 } },
    {
      title: "Sky",
      mode: "soft light",
      opacity: 0.5,
      items: [{ title: "Sun", visible: false, placement: { x: 6, y: 21, width: 3, height: 2 } }],
    },
  ]);
});

it("lies where the file says that a canvas had it", () => {
  const image = "<image xmlns:n='urn:nodegraph:layers' n:x='-100' n:y='7'>";
  const read = readOpenRaster(file("<layer src='data/a.png' x='2' y='2'/>", image), CORNER);
  expect(read?.items).toMatchObject([{ placement: { x: -98, y: 9 } }]);
});

it("leaves out modes and pictures that it doesn't know, and says so", () => {
  const text =
    "<layer src='data/b.png' name='Lost'/><layer src='data/a.png' name='Burnt' composite-op='krita:burn_it'/><filter/>";
  const read = readOpenRaster(file(text), CORNER);
  expect(read?.items).toMatchObject([{ mode: "normal" }]);
  expect(read?.messages).toEqual([
    expect.stringContaining("filter"),
    expect.stringMatching(/krita:burn_it.*Burnt/),
    expect.stringContaining("Lost"),
  ]);
});

it("has all of a file that this canvas has written", () => {
  const text = "<layer src='data/a.png' composite-op='svg:src-over'/>";
  expect(readOpenRaster(file(text), CORNER)?.messages).toEqual([]);
});

it("is none without its description, or if it is no archive", () => {
  expect(readOpenRaster(zipSync({ "data/a.png": PNG }), CORNER)).toBeNull();
  expect(readOpenRaster(strToU8("8BPS"), CORNER)).toBeNull();
});
