/** The first molecule of an SDF or MOL file (V2000): its atoms, bonds, and what is told of it. */

export interface Atom {
  readonly element: string;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly charge: number;
  /** Unpaired electrons. */
  readonly radical: number;
}

export interface Bond {
  /** Places of its atoms. */
  readonly from: number;
  readonly to: number;
  /** 1, 2 or 3; 4 in a ring that shares its electrons. */
  readonly order: number;
}

export interface DrawnMolecule {
  readonly name: string;
  readonly atoms: readonly Atom[];
  readonly bonds: readonly Bond[];
  /** Whether its atoms lie in space, and not in the plane of a drawing. */
  readonly isSpatial: boolean;
  /** What the file tells besides, by its name in small letters. */
  readonly data: ReadonlyMap<string, string>;
}

/** Charges by their number in an atom's line; 4 is a radical. */
const CHARGES: readonly number[] = [0, 3, 2, 1, 0, -1, -2, -3];
const FLAT = 1e-3;

/** The molecule; null if the text isn't one that can be read here. */
export function readMolfile(text: string): DrawnMolecule | null {
  const [record = ""] = text.split(/^\$\$\$\$/m);
  const lines = record.split(/\r?\n/);
  const counts = lines[3] ?? "";
  const atomCount = Number.parseInt(counts.slice(0, 3), 10);
  const bondCount = Number.parseInt(counts.slice(3, 6), 10);
  const isRead = counts.includes("V2000") && atomCount > 0 && bondCount >= 0;
  if (!isRead || lines.length < 4 + atomCount + bondCount) return null;
  const atoms = lines.slice(4, 4 + atomCount).map(atomOf);
  const bonds = lines.slice(4 + atomCount, 4 + atomCount + bondCount).map(bondOf);
  const isWhole =
    atoms.every(({ x, y, z, element }) => Number.isFinite(x + y + z) && element !== "") &&
    bonds.every(({ from, to }) => from >= 0 && to >= 0 && from < atomCount && to < atomCount);
  if (!isWhole) return null;
  const rest = lines.slice(4 + atomCount + bondCount);
  return {
    name: (lines[0] ?? "").trim(),
    atoms: withProperties(atoms, rest),
    bonds,
    isSpatial: atoms.some(({ z }) => Math.abs(z - (atoms[0]?.z ?? 0)) > FLAT),
    data: dataOf(rest),
  };
}

function atomOf(line: string): Atom {
  const place = (at: number) => Number.parseFloat(line.slice(at, at + 10));
  const code = Number.parseInt(line.slice(36, 39), 10) || 0;
  return {
    element: line.slice(31, 34).trim(),
    x: place(0),
    y: place(10),
    z: place(20),
    charge: CHARGES[code] ?? 0,
    radical: code === 4 ? 1 : 0,
  };
}

function bondOf(line: string): Bond {
  const number = (at: number) => Number.parseInt(line.slice(at, at + 3), 10);
  return { from: number(0) - 1, to: number(3) - 1, order: number(6) || 1 };
}

/** Lines "M  CHG" and "M  RAD" take the place of what atoms' own lines tell. */
function withProperties(atoms: readonly Atom[], lines: readonly string[]): readonly Atom[] {
  const charges = propertyOf(lines, "CHG");
  const radicals = propertyOf(lines, "RAD");
  if (charges.size + radicals.size === 0) return atoms;
  return atoms.map((atom, at) => ({
    ...atom,
    charge: charges.get(at) ?? 0,
    // 1 and 3 are two electrons, 2 is one.
    radical: [0, 2, 1, 2][radicals.get(at) ?? 0] ?? 0,
  }));
}

function propertyOf(lines: readonly string[], name: string): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const line of lines) {
    if (!line.startsWith(`M  ${name}`)) continue;
    const numbers = line.slice(9).trim().split(/\s+/).map(Number);
    for (let at = 0; at + 1 < numbers.length; at += 2) {
      found.set((numbers[at] ?? 0) - 1, numbers[at + 1] ?? 0);
    }
  }
  return found;
}

function dataOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [at, line] of lines.entries()) {
    const name = /^>.*<([^>]+)>/.exec(line)?.[1];
    if (name !== undefined) found.set(name.toLowerCase(), lines[at + 1]?.trim() ?? "");
  }
  return found;
}

/** Bonds that a neutral atom has, the fewest first. */
const VALENCES: Readonly<Record<string, readonly number[]>> = {
  B: [3],
  C: [4],
  N: [3, 5],
  O: [2],
  F: [1],
  Si: [4],
  P: [3, 5],
  S: [2, 4, 6],
  Cl: [1],
  Br: [1],
  I: [1],
};
/** Elements that have a bond more with a positive charge; others have one less. */
const GAINS = new Set(["N", "O", "F", "P", "S", "Cl", "Br", "I"]);

/** Hydrogens that the file leaves out, as files of molecules do. */
export function impliedHydrogens({ atoms, bonds }: DrawnMolecule): number {
  const used = new Float64Array(atoms.length);
  for (const { from, to, order } of bonds) {
    const weight = order === 4 ? 1.5 : Math.min(order, 3);
    used[from] = (used[from] ?? 0) + weight;
    used[to] = (used[to] ?? 0) + weight;
  }
  return atoms.reduce((sum, { element, charge, radical }, at) => {
    const shift = GAINS.has(element) ? charge : element === "B" ? -charge : -Math.abs(charge);
    const bound = Math.round((used[at] ?? 0) + radical);
    const valence = (VALENCES[element] ?? []).map((each) => each + shift).find((v) => v >= bound);
    return sum + Math.max(0, (valence ?? bound) - bound);
  }, 0);
}

/** How many there are of each element, carbon and hydrogen first, then by name (Hill's order). */
export function formulaOf(molecule: DrawnMolecule): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { element } of molecule.atoms) counts.set(element, (counts.get(element) ?? 0) + 1);
  const implied = impliedHydrogens(molecule);
  if (implied > 0) counts.set("H", (counts.get("H") ?? 0) + implied);
  const first = counts.has("C") ? ["C", "H"] : [];
  const rank = (element: string) => (first.includes(element) ? first.indexOf(element) : 2);
  return [...counts].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** The whole's charge. */
export function chargeOf({ atoms }: DrawnMolecule): number {
  return atoms.reduce((sum, { charge }) => sum + charge, 0);
}
