/** Doing something with a picture that a workflow gave: nodes are added to the graph that made it. */
import { api, getJob } from "@/api/client";
import { upload, uploadArtifact } from "@/api/files";
import type { ArtifactEntry, FrameRequest } from "@/api/schema";
import { change } from "@/commands/selection";
import { canvas, freePlace, itemBoxes, showAdded } from "@/components/canvas/controller";
import { keepingSeen } from "@/components/canvas/placing/staySeen";
import { t } from "@/i18n";
import { layoutOf, type Point } from "@/model/layout";
import type { Target } from "@/model/links";
import {
  type Added,
  asInput,
  canAdd,
  framed,
  freePicturePort,
  type Ground,
  inpaint,
  originOf,
  type Picture,
  type Recipe,
  upscale,
  vary,
} from "@/model/recipes";
import { drawSeed } from "@/model/seeds";
import { modelFor, useCatalogue } from "@/store/catalogue";
import {
  activeDocument,
  currentWorkflow,
  type Document,
  documentById,
  useDocuments,
} from "@/store/documents";
import { workflowOf } from "@/store/gallery";
import { homeOf, useJobs } from "@/store/jobs";
import { notify, notifyFault } from "@/store/notices";
import { placeOf } from "@/store/places";
import { useUi } from "@/store/ui";

const UPSCALER = "LoadUpscaleModel";

/**
 * Add the nodes of a recipe for a result as one step to undo, and show them.
 *
 * @param node Of the graph that is shown, whose picture it is; null where it is seen elsewhere.
 */
export async function takeFurther(
  recipe: Recipe,
  artifact: ArtifactEntry,
  node: string | null,
): Promise<void> {
  const { types } = useCatalogue.getState();
  if (types === null) return;
  if (!canAdd(recipe, { types })) {
    tellNoNodes();
    return;
  }
  try {
    const needsHome = recipe === "vary" || recipe === "inpaint";
    if (needsHome && node === null) await goHome(artifact);
    const graph = shownGraph();
    if (recipe === "inpaint") paint(artifact, node, graph);
    else await add(recipe, artifact, (await uploadArtifact(artifact.digest)).value, node, graph);
  } catch (fault) {
    notifyFault(fault, { title: t("results.failed") });
  }
}

/** The graph that somebody was at as they asked for something that takes a while. */
type Graph = Pick<Document, "id" | "path">;

function shownGraph(): Graph {
  const { id, path } = activeDocument();
  return { id, path };
}

/** Go back there, wherever they are by now; false if it was closed. */
function goBack({ id, path }: Graph): boolean {
  if (documentById(id) === null) return false;
  const now = shownGraph();
  if (now.id !== id || now.path.join("/") !== path.join("/")) {
    useDocuments.getState().goTo(path, id);
  }
  return true;
}

function tellNoNodes(): void {
  notify({ kind: "warning", title: t("results.noNodes"), detail: t("results.noNodesDetail") });
}

/** Where the model and the prompts are that made it: its document, or else its workflow in a new one. */
async function goHome(artifact: ArtifactEntry): Promise<void> {
  const known = useJobs.getState().jobs.get(artifact.job);
  const tags = known?.tags ?? (await getJob(artifact.job)).tags;
  const document = homeOf(tags);
  if (document !== null && documentById(document)) {
    useDocuments.getState().activate(document);
  } else {
    useDocuments.getState().open(await workflowOf(artifact), { origin: "picture" });
  }
}

function paint(artifact: ArtifactEntry, node: string | null, graph: Graph): void {
  const save = async (file: File) => {
    await add("inpaint", artifact, (await upload(file)).value, node, graph);
  };
  useUi.getState().openDialog("mask", { source: artifact.href, name: artifact.name, save });
}

async function add(
  recipe: Recipe,
  artifact: ArtifactEntry,
  value: string,
  node: string | null,
  graph: Graph,
): Promise<void> {
  const { types, loadModels } = useCatalogue.getState();
  if (types === null) return;
  if (recipe === "upscale") await loadModels().catch(() => undefined);
  if (!goBack(graph)) return;
  let added: Added | null = null;
  let needsPrompt = false;
  const keepSeen = keepingSeen();
  change(`results.edit.${recipe}`, (workflow, scope) => {
    const ground = { workflow, scope, types };
    const { width, height } = artifact;
    const picture = { value, width, height, node: node ?? nodeOf(artifact, ground) };
    needsPrompt =
      recipe !== "use" && recipe !== "upscale" && originOf(ground, picture.node) === null;
    added = framed(ground, made(recipe, ground, picture), t(`results.${recipe}`));
    return { workflow: added.workflow, items: [...added.names.values()] };
  });
  const names = added === null ? [] : [...(added as Added).names.values()];
  useUi.getState().setView("graph");
  if (names.length > 1) show(names);
  else keepSeen(names);
  if (needsPrompt) {
    const detail = t("results.needsPromptDetail");
    notify({ kind: "info", title: t("results.needsPrompt"), detail });
  }
}

function made(recipe: Recipe, ground: Ground, picture: Picture): Added {
  const at = wherever(ground);
  if (recipe === "upscale") return upscale(ground, picture, modelFor(UPSCALER), at);
  if (recipe === "vary") return vary(ground, picture, drawSeed(Math.random), at);
  if (recipe === "inpaint") return inpaint(ground, picture, drawSeed(Math.random), at);
  const port = freePicturePort(ground, activeDocument().selection);
  return asInput(ground, picture, port, at);
}

/** Paint on a result with the model and the prompts that made it: its graph as a canvas. */
export async function openOnCanvas(artifact: ArtifactEntry, node: string | null): Promise<void> {
  try {
    if (node === null) await goHome(artifact);
    const { types } = useCatalogue.getState();
    if (types === null) return;
    const ground = { workflow: currentWorkflow(activeDocument()), scope: null, types };
    const { beginWith } = await import("@/components/painting/starting");
    await beginWith(artifact, node ?? nodeOf(artifact, ground));
  } catch (fault) {
    notifyFault(fault, { title: t("results.failed") });
  }
}

/** Have a frame of a video read by a node of the graph that is shown, or by another workflow. */
export async function takeFrame(
  action: "use" | "send",
  video: ArtifactEntry,
  at: FrameRequest,
  node: string | null,
): Promise<void> {
  const { types } = useCatalogue.getState();
  if (types === null) return;
  if (action === "use" && !canAdd("use", { types })) {
    tellNoNodes();
    return;
  }
  try {
    const graph = shownGraph();
    const { value, width, height } = await api.POST("/artifacts/{digest}/frame", {
      params: { path: { digest: video.digest } },
      body: at,
    });
    const frame = { ...video, width, height };
    if (action === "send") useUi.getState().openDialog("sendTo", { artifact: frame, value });
    else await add("use", frame, value, node, graph);
  } catch (fault) {
    notifyFault(fault, { title: t("library.frame.failed") });
  }
}

/** A node that loads a result, at a place of the graph that is shown; linked to an input. */
export async function place(artifact: ArtifactEntry, at: Point, to: Target | null): Promise<void> {
  const { types } = useCatalogue.getState();
  if (types === null || !canAdd("use", { types })) return;
  try {
    const graph = shownGraph();
    const { value } = await uploadArtifact(artifact.digest);
    if (!goBack(graph)) return;
    const { width, height } = artifact;
    let names: readonly string[] = [];
    const keepSeen = keepingSeen();
    change("results.edit.use", (workflow, scope) => {
      const ground = { workflow, scope, types };
      const added = asInput(ground, { value, width, height, node: null }, to, at);
      names = [...added.names.values()];
      return { workflow: added.workflow, items: names };
    });
    keepSeen(to === null ? names : [...names, to.node]);
  } catch (fault) {
    notifyFault(fault, { title: t("results.failed") });
  }
}

/** In a free place of what is seen; below all else of a graph that isn't drawn yet. */
function wherever({ workflow, scope }: Ground): Point {
  const positions = [...layoutOf(workflow, scope).positions.values()];
  if (canvas()?.scene().workflow === workflow) return freePlace();
  return {
    x: Math.min(0, ...positions.map(({ x }) => x)),
    y: Math.max(0, ...positions.map(({ y }) => y)),
  };
}

/** The node of the graph that is shown which gave it, if one did. */
function nodeOf(artifact: ArtifactEntry, ground: Ground): string | null {
  const document = activeDocument();
  const place = placeOf(currentWorkflow(document), ground.types, artifact.node);
  const isShown = place !== null && place.path.join("/") === document.path.join("/");
  const isOwn = useJobs.getState().jobs.get(artifact.job)?.document === document.id;
  return isShown && (isOwn || document.origin === "picture") ? place.node : null;
}

/** So many frames a graph may take until it is drawn. */
const TRIES = 60;

/** Bring the nodes of a recipe into view, once they are drawn. */
function show(names: readonly string[], tries = TRIES): void {
  const boxes = itemBoxes();
  if (names.every((name) => boxes.has(name))) showAdded(names);
  else if (tries > 0) requestAnimationFrame(() => show(names, tries - 1));
}
