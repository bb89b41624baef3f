import { expect, test } from "vitest";
import { favouriteTypes, toggleFavourite } from "./favourites";

test("what another tab starred stays starred", () => {
  toggleFavourite("KSampler");
  const key = "nodegraph.favourite-types";
  localStorage.setItem(key, JSON.stringify(["KSampler", "VAEDecode"]));
  dispatchEvent(new StorageEvent("storage", { key }));
  expect(favouriteTypes()).toEqual(["KSampler", "VAEDecode"]);
  toggleFavourite("SaveImage");
  expect(JSON.parse(localStorage.getItem(key) ?? "")).toEqual([
    "KSampler",
    "VAEDecode",
    "SaveImage",
  ]);
});
