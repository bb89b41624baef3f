import { describe, expect, it } from "vitest";
import { FAMILIES, familyOf } from "./families";

describe("the family of a category", () => {
  it("is that of its first part", () => {
    expect(familyOf("sampling/guider")).toBe(familyOf("sampling"));
    expect(familyOf("Image/adjust")).toBe("image");
    expect(familyOf("conditioning")).toBe(familyOf("text/prompt"));
    expect(familyOf("latent")).not.toBe(familyOf("image"));
  });

  it("of one that only a pack knows is always the same", () => {
    expect(FAMILIES).toContain(familyOf("weather/rain"));
    expect(familyOf("weather/rain")).toBe(familyOf("weather"));
  });

  it("of none is that of what has no subject", () => {
    expect(familyOf("")).toBe("logic");
  });
});
