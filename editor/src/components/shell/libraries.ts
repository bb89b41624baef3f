/** What the editor is built with, by the names that people know, and under which licence. */
export interface Library {
  readonly name: string;
  readonly licence: string;
}

export const LIBRARIES: readonly Library[] = [
  { name: "React Flow", licence: "MIT" },
  { name: "Base UI", licence: "MIT" },
  { name: "React", licence: "MIT" },
  { name: "three.js", licence: "MIT" },
  { name: "Zustand", licence: "MIT" },
  { name: "dagre", licence: "MIT" },
  { name: "i18next", licence: "MIT" },
  { name: "Lucide", licence: "ISC" },
  { name: "msgpack", licence: "ISC" },
  { name: "fflate", licence: "MIT" },
  { name: "jsonc-parser", licence: "MIT" },
  { name: "openapi-fetch", licence: "MIT" },
  { name: "@tanstack/react-query", licence: "MIT" },
  { name: "idb-keyval", licence: "Apache-2.0" },
];
