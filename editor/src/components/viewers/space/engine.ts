/** What draws in space; with three.js a part of the page of its own, fetched when it is needed. */
export { ballAndStick } from "./ballAndStick";
export { Scene } from "./scene";
export { readShape } from "./shapes";
