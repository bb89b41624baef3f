/** Meshes and clouds of points from the bytes of GLB, PLY and OBJ files. */
import {
  type BufferGeometry,
  Color,
  DoubleSide,
  LoadingManager,
  type Material,
  Mesh,
  MeshStandardMaterial,
  type Object3D,
  Points,
  PointsMaterial,
  TextureLoader,
} from "three";
import { type GLTF, GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { OBJLoader } from "three/examples/jsm/loaders/OBJLoader.js";
import { PLYLoader } from "three/examples/jsm/loaders/PLYLoader.js";
import { mergeVertices } from "three/examples/jsm/utils/BufferGeometryUtils.js";
import { dotTexture } from "./dots";
import type { Model, Viewpoint } from "./model";

const FROM: Viewpoint = { azimuth: 30, elevation: 20 };
const PLAIN = 0xc2c5cc;

/** Throws for what can't be read. */
export async function readShape(bytes: ArrayBuffer, suffix: string): Promise<Model> {
  const object = await objectOf(bytes, suffix);
  let [corners, triangles, points] = [0, 0, 0];
  object.traverse((part) => {
    if (part instanceof Mesh) {
      finish(part);
      corners += countOf(part.geometry);
      triangles += (part.geometry.index?.count ?? countOf(part.geometry)) / 3;
    } else if (part instanceof Points) points += countOf(part.geometry);
  });
  if (triangles === 0 && points === 0) throw new Error("there is nothing to be seen in it");
  if (triangles === 0)
    return { object, from: FROM, looks: [], counts: { kind: "points", count: points } };
  return {
    object,
    from: FROM,
    looks: ["surface", "wireframe", "dots"],
    counts: { kind: "mesh", corners, triangles: Math.floor(triangles) },
  };
}

async function objectOf(bytes: ArrayBuffer, suffix: string): Promise<Object3D> {
  switch (suffix) {
    case "glb":
      return ofGlb(bytes);
    case "ply":
      return ofPly(bytes);
    default:
      return ofObj(new TextDecoder().decode(bytes));
  }
}

/** Fetches what lies in the file itself, and nothing that it names elsewhere. */
function ownParts(): LoadingManager {
  const manager = new LoadingManager();
  return manager.setURLModifier((url) => (url.startsWith("blob:") ? url : "blob:none"));
}

async function ofGlb(bytes: ArrayBuffer): Promise<Object3D> {
  const manager = ownParts();
  const loader = new GLTFLoader(manager);
  loader.register((parser) => {
    // The usual one fetches a picture's address, which the page's policy forbids.
    parser.textureLoader = new TextureLoader(manager);
    return { name: "pictures" };
  });
  const found: GLTF = await loader.parseAsync(bytes, "");
  return found.scene;
}

function ofObj(text: string): Object3D {
  const found = new OBJLoader(ownParts()).parse(text);
  const hasNormals = /^vn /m.test(text);
  found.traverse((part) => {
    if (!(part instanceof Mesh)) return;
    // It has each triangle by itself, and flat.
    if (!hasNormals) part.geometry.deleteAttribute("normal");
    part.geometry = mergeVertices(part.geometry);
  });
  return found;
}

function ofPly(bytes: ArrayBuffer): Object3D {
  const geometry = new PLYLoader().parse(bytes);
  if (geometry.index !== null && geometry.index.count > 0) {
    return new Mesh(geometry, new MeshStandardMaterial());
  }
  geometry.computeBoundingSphere();
  const radius = geometry.boundingSphere?.radius || 1;
  const hasColors = geometry.hasAttribute("color");
  const size = Math.min(radius / 12, (radius * 2.2) / Math.sqrt(countOf(geometry)));
  return new Points(
    geometry,
    new PointsMaterial({
      size: Math.max(size, radius / 250),
      vertexColors: hasColors,
      color: hasColors ? 0xffffff : 0x6f8fd6,
      map: dotTexture(),
      alphaTest: 0.5,
    }),
  );
}

/** Seen from both sides, in its own colours or in grey, and smooth where it doesn't say otherwise. */
function finish(part: Mesh): void {
  const geometry = part.geometry as BufferGeometry;
  if (!geometry.hasAttribute("normal")) geometry.computeVertexNormals();
  const given = part.material as Material & { map?: MeshStandardMaterial["map"]; color?: Color };
  const hasColors = geometry.hasAttribute("color");
  const map = given.map ?? null;
  const color = hasColors || map !== null ? new Color(0xffffff) : colorOf(given.color);
  part.material = new MeshStandardMaterial({
    map,
    vertexColors: hasColors,
    color,
    side: DoubleSide,
    roughness: 0.75,
    metalness: 0,
  });
  if (map === null) given.dispose();
}

/** White is what a file has that says nothing. */
function colorOf(given: Color | undefined): Color {
  return given === undefined || given.getHex() === 0xffffff ? new Color(PLAIN) : given;
}

function countOf(geometry: BufferGeometry): number {
  return geometry.getAttribute("position")?.count ?? 0;
}
