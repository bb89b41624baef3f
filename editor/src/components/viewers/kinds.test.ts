import { describe, expect, it } from "vitest";
import { viewKind, withoutPicturesBeside } from "./kinds";
import { clock } from "./playing";

function file(name: string, kind: string, media_type: string) {
  return { name, kind, media_type };
}

const chime = file("chime_00003.flac", "audio", "audio/flac");
const wave = file("chime_00001.png", "image", "image/png");
const other = file("apple_00001.png", "image", "image/png");

describe("files", () => {
  it.each([
    [wave, "image"],
    [chime, "sound"],
    [file("walk.webm", "video", "video/webm"), "video"],
    [file("chair.GLB", "mesh", "model/gltf-binary"), "space"],
    [file("scan.ply", "points", "application/octet-stream"), "space"],
    [file("aspirin.sdf", "molecule", "chemical/x-mdl-sdfile"), "molecule"],
    [file("loss.json", "plot", "application/json"), "plot"],
    [file("loss.csv", "plot", "text/csv"), "none"],
    [file("list.json", "text", "application/json"), "none"],
    [file("README", "file", "text/plain"), "text"],
  ])("%# are shown by their kind", (given, kind) => {
    expect(viewKind(given)).toBe(kind);
  });

  it("are seen without the pictures that were written beside them", () => {
    expect(withoutPicturesBeside([chime, wave, other])).toEqual([chime, other]);
    expect(withoutPicturesBeside([wave, other])).toEqual([wave, other]);
  });
});

it("times within a sound are told to hundredths", () => {
  expect([0, 7.256, 59.999, 605.5].map(clock)).toEqual([
    "0:00.00",
    "0:07.26",
    "1:00.00",
    "10:05.50",
  ]);
});
