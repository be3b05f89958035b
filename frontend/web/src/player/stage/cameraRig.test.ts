// @vitest-environment jsdom
import { beforeEach, expect, test } from "vitest";
import { CameraRig } from "./cameraRig";
import { isSameView } from "./view";

let canvas: HTMLElement;
let rig: CameraRig;

beforeEach(() => {
  canvas = document.createElement("div");
  Object.defineProperty(canvas, "clientHeight", { value: 600 });
  Object.assign(canvas, { setPointerCapture: () => undefined, releasePointerCapture: () => undefined });
  document.body.replaceChildren(canvas);
  rig = new CameraRig(
    canvas,
    () => undefined,
    () => undefined,
  );
  rig.frame({ radius: 1, center: [0, 0, 1], direction: [0, 1, 0], focus: [0, 0, 1] }, true);
});

function drag(pixels: number): void {
  const at = (clientX: number) => ({
    bubbles: true,
    pointerId: 1,
    pointerType: "mouse",
    button: 0,
    clientX,
    clientY: 0,
  });
  canvas.dispatchEvent(new PointerEvent("pointerdown", at(0)));
  canvas.dispatchEvent(new PointerEvent("pointermove", at(pixels)));
  canvas.dispatchEvent(new PointerEvent("pointerup", at(pixels)));
}

test("given a drag that still turns the view, when the first view is asked for, then it is that and stays", () => {
  const first = rig.view;
  drag(200);
  rig.update(1 / 60);
  expect(isSameView(rig.view, first)).toBe(false);

  rig.reset();
  for (let frame = 0; frame < 60; frame += 1) rig.update(1 / 60);

  expect(isSameView(rig.view, first)).toBe(true);
});

test("given a machine that draws few frames, when the view is dragged, then it turns as fast as elsewhere", () => {
  const turnedAfter = (frames: number, frameSecs: number) => {
    rig.reset();
    const { azimuth } = rig.view;
    drag(100);
    for (let frame = 0; frame < frames; frame += 1) rig.update(frameSecs);
    return rig.view.azimuth - azimuth;
  };
  expect(turnedAfter(2, 0.2)).toBeCloseTo(turnedAfter(24, 1 / 60), 1);
});
