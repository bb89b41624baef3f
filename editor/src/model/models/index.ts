/** The server's models: as a library, and as what graphs load. */

export { familyName } from "./families";
export {
  facetsOf,
  isFiltered,
  type LibraryModel,
  libraryOf,
  MODEL_KINDS,
  type ModelFilter,
  type ModelKind,
  type ModelSort,
  modelIn,
  modelKind,
  modelTitle,
  NO_FILTER,
  OFFER_KINDS,
  offerKind,
  SORTS,
} from "./library";
export { addLoader, isLoadable, type Loadable, modelInput, onlyLoader } from "./loaders";
export { type Chosen, chooseModel, type SetValue, type Suited, type Suits } from "./suits";
