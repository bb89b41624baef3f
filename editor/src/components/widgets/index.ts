/**
 * Controls for inputs of nodes.
 *
 *   <WidgetField node="sample" input={spec} place="card|panel" />   label, menu and widget, from the stores
 *   <Widget input value onChange id problem? label? seed? />        the widget alone, knows no store
 */
export { fieldMenu } from "./fieldMenu";
export { inputLabel, readable } from "./inputLabel";
export {
  type FileChoice,
  type ModelChoice,
  type WidgetServices,
  WidgetServicesProvider,
} from "./services";
export { storeServices } from "./storeServices";
export type { SeedControl, SeedMode, WidgetProps } from "./types";
export { Widget } from "./Widget";
export { WidgetField, type WidgetFieldProps } from "./WidgetField";
