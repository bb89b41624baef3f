/** The painting canvas of a graph, read and edited; each edit gives a new workflow. */
export { acceptResult, resultTitle } from "./accepting";
export {
  addLayer,
  canAddLayer,
  type NewControl,
  type NewLayer,
  type NewReference,
} from "./adding";
export { adoptLayers, canAdoptLayers } from "./adopting";
export {
  duplicateLayer,
  groupLayers,
  type LayerPlace,
  layerBelow,
  mergeDown,
  moveLayer,
  removeLayer,
  ungroup,
} from "./arranging";
export { sampledFor, snapped } from "./boxSizes";
export { type Coverage, coverageOf } from "./coverage";
export {
  type ControlChanges,
  type LayerChanges,
  placeLayers,
  type SamplerChanges,
  setBox,
  setControl,
  setLayer,
  setPicture,
  setPrompt,
  setRegion,
  setSampler,
} from "./editing";
export { exportLayers, type LayerFormat } from "./exporting";
export type { Edited, Extent, PaintGround } from "./ground";
export { type ImportedItem, importLayers } from "./importing";
export { lackingModels, type ModelPort, modelPortOf } from "./lacking";
export { readCanvas } from "./reading";
export { canStartCanvas, type StartOptions, startCanvas } from "./starting";
export { type Beside, placeBeside, stepOf } from "./stepping";
export * from "./types";
