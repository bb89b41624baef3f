/** The page that generates images without a graph: what is chosen there, as a workflow and back. */
export { rowsOfCsv } from "./csv";
export {
  comesInParts,
  type Detector,
  faceDetector,
  foregroundModel,
  type Ground,
  type InstalledModel,
  isUsable,
  lackingFor,
  loadedBy,
  type ModelFault,
  modelFault,
  modelNamed,
  sizesOf,
  TASKS,
  type Task,
  upscalerOf,
  usualFor,
  usualInstead,
  usualOf,
} from "./models";
export { nodesLeftOut, settingsOf } from "./reading";
export {
  type ChosenLora,
  DEFAULT_SETTINGS,
  type GenerateSettings,
  type Hires,
  MOST_ENCODERS,
  MOST_IMAGES,
  type StartImage,
  seedAfter,
  seedFrom,
  settingsFrom,
  styleFrom,
  USUAL_HIRES,
} from "./settings";
export { CELL, type ImageSize, RATIOS, ratioOf, ratioOfSize, sizeFor } from "./sizes";
export { csvOfStyles, merged, type Style, StylesFault, styled, stylesOfCsv } from "./styles";
export { type FoundTag, type Tag, tagsFor, tagsOfCsv, tagText } from "./tags";
export {
  FIELDS,
  type Field,
  fieldOf,
  promptsOf,
  workflowOf,
} from "./workflow";
