/** A thing in space seen by a camera that moves around it; drawn anew only when something changed. */
import {
  Box3,
  type BufferGeometry,
  Color,
  DirectionalLight,
  HemisphereLight,
  type Material,
  Mesh,
  type Object3D,
  PerspectiveCamera,
  Points,
  PointsMaterial,
  Sphere,
  Spherical,
  Scene as ThreeScene,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { dotTexture } from "./dots";
import type { Look, Model, Viewpoint } from "./model";

const ANGLE = 35;
/** Few things fill the sphere around them. */
const MARGIN = 0.97;
const RADIANS = Math.PI / 180;
/** How near one may get to the poles, where up would be nowhere. */
const POLE = 0.02;

export class Scene {
  private readonly renderer: WebGLRenderer;
  private readonly camera = new PerspectiveCamera(ANGLE, 1, 0.01, 100);
  private readonly world = new ThreeScene();
  private readonly controls: OrbitControls;
  private readonly extent = new Sphere(new Vector3(), 1);
  private readonly from: Viewpoint;
  private readonly dots: Object3D[] = [];
  private readonly solid: Mesh[] = [];
  private frame = 0;

  /** Throws if the browser has no WebGL. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    model: Model,
  ) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true });
    this.renderer.setPixelRatio(Math.min(2, window.devicePixelRatio));
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.addEventListener("change", this.redraw);
    const sun = new DirectionalLight(0xffffff, 2.2);
    sun.position.set(-1.2, 1.6, 1.4);
    // From the camera's side, so that what is looked at is never in the dark.
    this.camera.add(sun);
    this.world.add(this.camera, new HemisphereLight(0xffffff, 0x8a8f9c, 1.5), model.object);
    this.from = model.from;
    new Box3().setFromObject(model.object).getBoundingSphere(this.extent);
    if (!(this.extent.radius > 0)) this.extent.radius = 1;
    model.object.traverse((part) => {
      if (part instanceof Mesh && model.looks.length > 0) this.solid.push(part);
    });
    this.reset();
  }

  /** See all of it, from where it was seen at first. */
  reset(): void {
    const { center, radius } = this.extent;
    const half = (ANGLE / 2) * RADIANS;
    const narrow = Math.min(half, Math.atan(Math.tan(half) * this.camera.aspect));
    const distance = (radius / Math.sin(narrow)) * MARGIN;
    const { azimuth, elevation } = this.from;
    const place = new Spherical(distance, (90 - elevation) * RADIANS, azimuth * RADIANS);
    this.camera.position.setFromSpherical(place).add(center);
    this.camera.near = radius / 100;
    this.camera.far = distance + radius * 100;
    this.camera.updateProjectionMatrix();
    this.controls.minDistance = radius / 20;
    this.controls.maxDistance = radius * 40;
    this.controls.target.copy(center);
    this.controls.update();
    this.redraw();
  }

  /** Go around it by some degrees. */
  turn(across: number, up: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const place = new Spherical().setFromVector3(offset);
    place.theta += across * RADIANS;
    place.phi = Math.min(Math.PI - POLE, Math.max(POLE, place.phi - up * RADIANS));
    this.camera.position.setFromSpherical(place).add(this.controls.target);
    this.controls.update();
  }

  /** Move it by parts of what is seen. */
  move(across: number, up: number): void {
    const distance = this.camera.position.distanceTo(this.controls.target);
    const room = 2 * distance * Math.tan((ANGLE / 2) * RADIANS);
    const by = new Vector3()
      .setFromMatrixColumn(this.camera.matrix, 0)
      .multiplyScalar(-across * room)
      .addScaledVector(new Vector3().setFromMatrixColumn(this.camera.matrix, 1), -up * room);
    this.camera.position.add(by);
    this.controls.target.add(by);
    this.controls.update();
  }

  zoom(factor: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const { minDistance, maxDistance } = this.controls;
    offset.setLength(Math.min(maxDistance, Math.max(minDistance, offset.length() / factor)));
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
  }

  setGround(color: string): void {
    this.world.background = new Color(color);
    this.redraw();
  }

  setLook(look: Look): void {
    if (look === "dots" && this.dots.length === 0) this.addDots();
    for (const dots of this.dots) dots.visible = look === "dots";
    for (const part of this.solid) {
      part.visible = look !== "dots";
      for (const material of materialsOf(part)) {
        if ("wireframe" in material) material.wireframe = look === "wireframe";
      }
    }
    this.redraw();
  }

  setSpinning(isSpinning: boolean): void {
    this.controls.autoRotate = isSpinning;
    this.redraw();
  }

  resize(width: number, height: number): void {
    if (width === 0 || height === 0) return;
    const isFirst = this.camera.aspect === 1 && this.frame === 0;
    this.camera.aspect = width / height;
    this.renderer.setSize(width, height, false);
    if (isFirst) this.reset();
    this.camera.updateProjectionMatrix();
    // At once, as a canvas of another size is empty.
    this.draw();
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    this.controls.dispose();
    this.world.traverse((part) => {
      const { geometry } = part as Partial<Mesh>;
      geometry?.dispose();
      for (const material of materialsOf(part as Mesh)) material.dispose();
    });
    this.renderer.dispose();
    // Browsers keep a handful of these only.
    this.renderer.forceContextLoss();
  }

  private addDots(): void {
    for (const part of this.solid) {
      const [material] = materialsOf(part);
      const dots = new Points(part.geometry as BufferGeometry, dotsMaterial(part, material));
      part.add(dots);
      // Beside it, as what is in something that isn't seen isn't either.
      part.parent?.add(dots);
      dots.applyMatrix4(part.matrix);
      this.dots.push(dots);
    }
  }

  private readonly redraw = (): void => {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
      if (this.controls.autoRotate) {
        this.controls.update();
        this.redraw();
      }
    });
  };

  private draw(): void {
    this.renderer.render(this.world, this.camera);
    // For whoever waits until there is something to be seen.
    this.canvas.dataset.drawn = "true";
  }
}

function materialsOf({ material }: Mesh): readonly Material[] {
  if (material === undefined) return [];
  return Array.isArray(material) ? material : [material];
}

function dotsMaterial(part: Mesh, like: Material | undefined): PointsMaterial {
  const geometry = part.geometry as BufferGeometry;
  const hasColors = geometry.hasAttribute("color");
  const count = geometry.getAttribute("position")?.count ?? 0;
  const color = like !== undefined && "color" in like ? (like.color as Color) : new Color(0x9aa4bf);
  return new PointsMaterial({
    // In pixels: few are to be seen, many not to hide each other.
    size: count < 3000 ? 6 : count < 30_000 ? 3 : 2,
    sizeAttenuation: false,
    vertexColors: hasColors,
    color: hasColors ? 0xffffff : color,
    map: dotTexture(),
    alphaTest: 0.5,
  });
}
