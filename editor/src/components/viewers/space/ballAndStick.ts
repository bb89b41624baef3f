/** A molecule in space: balls for its atoms, sticks for its bonds. */
import {
  Color,
  CylinderGeometry,
  Group,
  InstancedMesh,
  Matrix4,
  MeshStandardMaterial,
  Quaternion,
  SphereGeometry,
  Vector3,
} from "three";
import type { Atom, Bond, DrawnMolecule } from "@/model/molfile";
import { lookOf } from "./elements";
import type { Model } from "./model";

/** Of an atom's radius. */
const BALL = 0.42;
const LEAST_BALL = 0.2;
const STICK = 0.09;
const THIN_STICK = 0.055;
/** Between the sticks of a double bond, in ångström. */
const APART = 0.15;
const UP = new Vector3(0, 1, 0);

export function ballAndStick(molecule: DrawnMolecule): Model {
  const object = new Group();
  object.add(balls(molecule.atoms), sticks(molecule));
  return {
    object,
    from: { azimuth: 0, elevation: 12 },
    looks: [],
    counts: { kind: "atoms", atoms: molecule.atoms.length, bonds: molecule.bonds.length },
  };
}

function material(): MeshStandardMaterial {
  return new MeshStandardMaterial({ roughness: 0.5, metalness: 0 });
}

function balls(atoms: readonly Atom[]): InstancedMesh {
  const made = new InstancedMesh(new SphereGeometry(1, 32, 20), material(), atoms.length);
  const place = new Matrix4();
  for (const [at, atom] of atoms.entries()) {
    const { color, radius } = lookOf(atom.element);
    const size = Math.max(LEAST_BALL, radius * BALL);
    place.makeScale(size, size, size).setPosition(atom.x, atom.y, atom.z);
    made.setMatrixAt(at, place);
    made.setColorAt(at, new Color(color));
  }
  return made;
}

interface Stick {
  readonly from: Vector3;
  readonly to: Vector3;
  readonly width: number;
  readonly color: string;
}

/** Each half in its atom's colour. */
function sticks({ atoms, bonds }: DrawnMolecule): InstancedMesh {
  const all = bonds.flatMap((bond) => sticksOf(bond, atoms));
  const made = new InstancedMesh(new CylinderGeometry(1, 1, 1, 16, 1), material(), all.length);
  for (const [at, { from, to, width, color }] of all.entries()) {
    const along = to.clone().sub(from);
    const turned = new Quaternion().setFromUnitVectors(UP, along.clone().normalize());
    const middle = from.clone().add(to).multiplyScalar(0.5);
    const size = new Vector3(width, along.length(), width);
    made.setMatrixAt(at, new Matrix4().compose(middle, turned, size));
    made.setColorAt(at, new Color(color));
  }
  return made;
}

function sticksOf(bond: Bond, atoms: readonly Atom[]): readonly Stick[] {
  const [first, second] = [atoms[bond.from], atoms[bond.to]];
  if (first === undefined || second === undefined) return [];
  const [a, b] = [placeOf(first), placeOf(second)];
  if (a.distanceTo(b) < 1e-6) return [];
  const count = bond.order === 4 ? 2 : Math.min(3, Math.max(1, bond.order));
  const width = count === 1 ? STICK : THIN_STICK;
  const side = sideOf(bond, atoms).multiplyScalar(APART);
  return Array.from({ length: count }, (_, at) => at - (count - 1) / 2).flatMap((shift) => {
    const [from, to] = [a, b].map((end) => end.clone().addScaledVector(side, shift)) as [
      Vector3,
      Vector3,
    ];
    const middle = from.clone().add(to).multiplyScalar(0.5);
    return [
      { from, to: middle, width, color: lookOf(first.element).color },
      { from: middle, to, width, color: lookOf(second.element).color },
    ];
  });
}

/** Across a bond, within the plane of one that is beside it, where the sticks of it are seen. */
function sideOf(bond: Bond, atoms: readonly Atom[]): Vector3 {
  const [first, second] = [atoms[bond.from], atoms[bond.to]];
  if (first === undefined || second === undefined) return new Vector3(1, 0, 0);
  const along = placeOf(second).sub(placeOf(first)).normalize();
  let side = new Vector3(1, 0, 0);
  let nearest = Number.POSITIVE_INFINITY;
  for (const atom of atoms) {
    if (atom === first || atom === second) continue;
    const towards = placeOf(atom).sub(placeOf(first));
    const across = towards.clone().addScaledVector(along, -towards.dot(along));
    if (across.length() > 0.3 && towards.length() < nearest) {
      nearest = towards.length();
      side = across;
    }
  }
  const across = side.addScaledVector(along, -side.dot(along));
  return across.length() > 1e-3 ? across.normalize() : new Vector3(0, 0, 1);
}

function placeOf({ x, y, z }: Atom): Vector3 {
  return new Vector3(x, y, z);
}
