import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chargeOf, formulaOf, impliedHydrogens, readMolfile } from "./molfile";

const caffeine = readFileSync("../workflows/caffeine.sdf", "utf8");

/** A file of atoms ("C", or with its charge "N+1") and bonds (from, to, order). */
function drawn(atoms: string[], bonds: number[][], more = ""): string {
  const lines = atoms.map((text, at) => {
    const place = `${at}.0000`.padStart(10);
    return `${place}    0.0000    0.0000 ${text.replace(/[+-].*/, "").padEnd(3)} 0  0`;
  });
  const links = bonds.map((bond) => bond.map((each) => String(each).padStart(3)).join(""));
  const charges = atoms.flatMap((text, at) => {
    const charge = /[+-]\d/.exec(text)?.[0];
    return charge
      ? [`M  CHG  1 ${String(at + 1).padStart(3)} ${String(Number(charge)).padStart(3)}`]
      : [];
  });
  const counts = `${String(atoms.length).padStart(3)}${String(bonds.length).padStart(3)}`;
  const head = ["name", "  test", "", `${counts}  0  0  0  0  0  0  0  0999 V2000`];
  return [...head, ...lines, ...links, ...charges, "M  END", more, "$$$$"].join("\n");
}

function formula(text: string): string {
  const molecule = readMolfile(text);
  return molecule
    ? formulaOf(molecule)
        .map(([name, count]) => `${name}${count}`)
        .join(" ")
    : "";
}

describe("an SDF", () => {
  it("is read with its atoms, bonds and places", () => {
    const found = readMolfile(caffeine);
    expect(found?.atoms.length).toBe(24);
    expect(found?.bonds.length).toBe(25);
    expect(found?.atoms[0]).toMatchObject({ element: "C", x: 3.1596, z: -0.2239 });
    expect(found?.isSpatial).toBe(true);
    expect(formula(caffeine)).toBe("C8 H10 N4 O2");
  });

  it("tells more by names", () => {
    const found = readMolfile(drawn(["C"], [], ">  <SMILES>\nC\n"));
    expect(found?.data.get("smiles")).toBe("C");
    expect([found?.name, found?.isSpatial]).toEqual(["name", false]);
  });

  it.each([
    ["", "nothing"],
    ["a\nb\nc\n  0  0  0     0  0            999 V3000\n", "another form"],
    [caffeine.slice(0, 700), "half of it"],
    [drawn(["C", "C"], [[1, 9, 1]]), "a bond to nowhere"],
    ["x".repeat(100_000), "something else"],
  ])("that is damaged is none (%#)", (text) => {
    expect(readMolfile(text)).toBeNull();
  });
});

describe("hydrogens that are left out", () => {
  it.each([
    ["water", drawn(["O"], []), "H2 O1"],
    ["ethene", drawn(["C", "C"], [[1, 2, 2]]), "C2 H4"],
    ["ammonium", drawn(["N+1"], []), "H4 N1"],
    ["hydroxide", drawn(["O-1"], []), "H1 O1"],
    [
      "sulfuric acid",
      drawn(
        ["S", "O", "O", "O", "O"],
        [
          [1, 2, 2],
          [1, 3, 2],
          [1, 4, 1],
          [1, 5, 1],
        ],
      ),
      "H2 O4 S1",
    ],
    [
      "benzene",
      drawn(
        ["C", "C", "C", "C", "C", "C"],
        [
          [1, 2, 4],
          [2, 3, 4],
          [3, 4, 4],
          [4, 5, 4],
          [5, 6, 4],
          [6, 1, 4],
        ],
      ),
      "C6 H6",
    ],
    ["a metal", drawn(["Fe"], []), "Fe1"],
  ])("are those of %s", (_, text, expected) => {
    expect(formula(text)).toBe(expected);
  });

  it("are none where all are there", () => {
    const found = readMolfile(caffeine);
    expect(found && impliedHydrogens(found)).toBe(0);
  });

  it("and charges count", () => {
    const found = readMolfile(drawn(["N+1", "O-1"], [[1, 2, 1]]));
    expect(found && chargeOf(found)).toBe(0);
  });
});
