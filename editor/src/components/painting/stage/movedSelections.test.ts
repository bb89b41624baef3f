import { expect, it } from "vitest";
import { MovedSelections } from "./movedSelections";
import { selectRectangle } from "./pixels/selection";

const FROM = selectRectangle({ x: 0, y: 0, width: 4, height: 4 });
const TO = selectRectangle({ x: 8, y: 0, width: 4, height: 4 });
const OTHER = selectRectangle({ x: 1, y: 1, width: 1, height: 1 });

function moved(): MovedSelections {
  const moves = new MovedSelections();
  moves.show([["sky", "a"]], FROM);
  moves.add("sky", FROM, TO)("b");
  moves.show([["sky", "b"]], TO);
  return moves;
}

it("come back with the undo of the move, and go along with its redo", () => {
  const moves = moved();
  expect(moves.show([["sky", "a"]], TO)).toBe(FROM);
  expect(moves.show([["sky", "b"]], FROM)).toBe(TO);
});

it("leave what was selected since", () => {
  expect(moved().show([["sky", "a"]], OTHER)).toBeNull();
});

it("leave the selection by strokes, and by other layers", () => {
  const moves = moved();
  expect(moves.show([["sky", "c"]], TO)).toBeNull();
  expect(moves.show([["sea", "b"]], TO)).toBeNull();
  expect(moves.show([["sea", "a"]], TO)).toBeNull();
});
