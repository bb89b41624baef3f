/** What mouse, touch and trackpad do on the canvas, as i18n keys. */
export const GESTURES: readonly { readonly does: string; readonly how: string }[] = [
  { does: "shell.gesture.add", how: "shell.gesture.addHow" },
  { does: "shell.gesture.fitting", how: "shell.gesture.fittingHow" },
  { does: "shell.gesture.relink", how: "shell.gesture.relinkHow" },
  { does: "shell.gesture.cut", how: "shell.gesture.cutHow" },
  { does: "shell.gesture.splice", how: "shell.gesture.spliceHow" },
  { does: "shell.gesture.copy", how: "shell.gesture.copyHow" },
  { does: "shell.gesture.pan", how: "shell.gesture.panHow" },
  { does: "shell.gesture.zoom", how: "shell.gesture.zoomHow" },
  { does: "shell.gesture.box", how: "shell.gesture.boxHow" },
  { does: "shell.gesture.more", how: "shell.gesture.moreHow" },
  { does: "shell.gesture.menu", how: "shell.gesture.menuHow" },
  { does: "shell.gesture.enter", how: "shell.gesture.enterHow" },
  { does: "shell.gesture.step", how: "shell.gesture.stepHow" },
];
