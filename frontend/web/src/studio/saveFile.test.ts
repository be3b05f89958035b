import { expect, test } from "vitest";
import { fileNameOf } from "./saveFile";

test("given robot and policy, when a file is named after them, then every system takes the name", () => {
  expect(fileNameOf(["WalkerWalk", "keep the pole upright; slowly / 3M steps"], "webm")).toBe(
    "walkerwalk-keep-the-pole-upright-slowly-3m-steps.webm",
  );
  expect(fileNameOf(["", "…"], "png")).toBe("robot.png");
  expect(fileNameOf(["x".repeat(79), "y"], "png")).toBe(`${"x".repeat(79)}.png`);
});
