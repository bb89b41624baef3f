/** Whether a lesson is shown: all that a page has to know of lessons before one begins. */
import { create } from "zustand";
import { readOfWindow } from "./persisted";

/** The lesson of this window: a reload goes on with it. */
export const OPEN_LESSON = "nodegraph.lesson";

export const useLessonOpen = create<{ readonly isOpen: boolean }>()(() => ({
  isOpen: readOfWindow(OPEN_LESSON) !== null,
}));
