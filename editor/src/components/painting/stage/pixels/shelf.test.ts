import { expect, it, vi } from "vitest";
import { Shelf } from "./shelf";
import type { Picture } from "./surface";

/** A picture of so many kilobytes, 256 pixels each. */
const picture = (kilobytes: number): Picture => ({
  image: {} as OffscreenCanvas,
  width: 256,
  height: kilobytes,
});

it("gives what was kept without loading it", async () => {
  const fetched = vi.fn<(url: string) => Promise<Picture>>();
  const shelf = new Shelf(fetched);
  const own = picture(1);
  shelf.keep("upload:a", own);
  expect(await shelf.load("upload:a", "/a")).toBe(own);
  expect(fetched).not.toHaveBeenCalled();
});

it("loads a picture once for all who ask", async () => {
  const fetched = vi.fn(async () => picture(1));
  const shelf = new Shelf(fetched);
  const [one, two] = await Promise.all([shelf.load("a", "/a"), shelf.load("a", "/a")]);
  expect(one).toBe(two);
  expect(fetched).toHaveBeenCalledOnce();
});

it("asks again after a failure", async () => {
  const fetched = vi.fn<(url: string) => Promise<Picture>>();
  fetched.mockRejectedValueOnce(new Error("away")).mockResolvedValueOnce(picture(1));
  const shelf = new Shelf(fetched);
  await expect(shelf.load("a", "/a")).rejects.toThrow("away");
  expect(await shelf.load("a", "/a")).toEqual(picture(1));
});

it("forgets what was not looked at for longest", () => {
  const shelf = new Shelf(async () => picture(1), 3 * 1024);
  for (const value of ["a", "b", "c"]) shelf.keep(value, picture(1));
  shelf.get("a");
  shelf.keep("d", picture(1));
  const left = ["a", "b", "c", "d"].filter((value) => shelf.get(value) !== undefined);
  expect(left).toEqual(["a", "c", "d"]);
});

it("keeps the newest however large it is", () => {
  const shelf = new Shelf(async () => picture(1), 1024);
  shelf.keep("a", picture(1));
  shelf.keep("large", picture(9));
  expect([shelf.get("a"), shelf.get("large")]).toEqual([undefined, picture(9)]);
});
