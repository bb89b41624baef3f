/**
 * JSON as workflow files hold it, read and written without changing a sign.
 *
 * Objects are Maps, so that keys such as "10" keep their place, and numbers that JavaScript can't
 * hold or would write in another way stay texts. The layout is that of the engine's own files.
 */
export { floatJson, integerFromText } from "./numbers";
export { fromPlain, toPlain } from "./plain";
export { JsonFault, readJson } from "./reading";
export {
  compareTexts,
  ExactNumber,
  isList,
  isObject,
  type Json,
  type JsonObject,
  numberOf,
  sameJson,
} from "./value";
export { valueText, writeJson } from "./writing";
