// @vitest-environment jsdom
import { renderHook, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { createDriving, joystickAmong } from "./driving";
import { useDriving } from "./useDriving";

const element = (name: string) => ({ name, unit: "", low: -1, high: 1 });

test("given a stick that is held, when its gamepad is unplugged, then the robot is told to stand still", async () => {
  let pads: readonly Pick<Gamepad, "id" | "connected" | "axes">[] = [
    { id: "pad", connected: true, axes: [0, -1, 0, 0] },
  ];
  Object.defineProperty(navigator, "getGamepads", { configurable: true, value: () => pads });
  const driving = createDriving();
  const joystick = joystickAmong([{ field: "command", elements: ["forward", "left", "turn"].map(element) }]);
  renderHook(() => useDriving({ driving, joystick, around: { current: null }, arrows: false }));
  await waitFor(() => expect(driving.held.get()?.command).toEqual([1, 0, 0]));
  pads = [];
  await waitFor(() => expect(driving.held.get()?.command).toEqual([0, 0, 0]));
});
