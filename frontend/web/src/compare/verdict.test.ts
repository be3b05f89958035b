import { expect, test } from "vitest";
import { sampleOf } from "../policies/statistics";
import { type Contender, verdictOf } from "./verdict";

const contender = (name: string, returns: readonly number[], change: Partial<Contender> = {}): Contender => ({
  name,
  letter: name,
  rewardKey: "own",
  returns: sampleOf(returns),
  survival: sampleOf(returns.map(() => 1)),
  ...change,
});

test("given one that clearly earns more, when they are judged, then it wins and the other measures are told", () => {
  const { winner, sentence, reasons } = verdictOf([
    contender("A", [100, 102, 98], { robustness: 0.9 }),
    contender("B", [200, 202, 198], { robustness: 0.5 }),
  ]);
  expect(winner).toBe(1);
  expect(sentence).toBe("B wins: it earns more.");
  expect(reasons[0]).toBe("Mean return: 200 against 100 (A).");
  expect(reasons.at(-1)).toContain("which speaks against it");
});

test("given returns within two standard errors, when they are judged, then survival decides, then robustness", () => {
  const close = [contender("A", [100, 140, 60]), contender("B", [110, 150, 70])];
  const [a, b] = close as [Contender, Contender];
  expect(verdictOf(close)).toMatchObject({ winner: undefined, sentence: "Too close to call." });
  const frail = { ...b, survival: sampleOf([0.2, 0.3, 0.25]) };
  expect(verdictOf([a, frail])).toMatchObject({ winner: 0, sentence: "A wins: it lasts longer." });
  const robust = verdictOf([
    { ...a, robustness: 0.6 },
    { ...b, robustness: 0.8 },
  ]);
  expect(robust).toMatchObject({ winner: 1, sentence: "B wins: it withstands disturbances better." });
  expect(robust.reasons[0]).toContain("too close to call");
  const even = verdictOf([
    { ...a, robustness: 0.6 },
    { ...b, robustness: 0.63 },
  ]);
  expect(even.winner).toBeUndefined();
});

test("given different rewards, when they are judged, then returns do not count and it says so", () => {
  const far = [
    contender("A", [1, 1.1, 0.9], { rewardKey: "own" }),
    contender("B", [900, 901, 899], { rewardKey: "x" }),
  ];
  const verdict = verdictOf(far);
  expect(verdict.winner).toBeUndefined();
  expect(verdict.reasons[0]).toContain("their returns do not compare");
  expect(verdict.reasons.join(" ")).not.toContain("900");
  const [a, b] = far as [Contender, Contender];
  expect(verdictOf([a, { ...b, survival: sampleOf([0.1, 0.2, 0.1]) }]).winner).toBe(0);
});

test("given three of which two lead, when they are judged, then none of them wins by the return", () => {
  const verdict = verdictOf([
    contender("A", [200, 202, 198]),
    contender("B", [201, 203, 199]),
    contender("C", [10, 11, 12]),
  ]);
  expect(verdict.winner).toBeUndefined();
});

test("given one that is not measured, when they are judged, then it says what to do in place of a winner", () => {
  const unmeasured: Contender = { name: "B", letter: "B", rewardKey: "own" };
  expect(verdictOf([contender("A", [1, 2]), unmeasured]).sentence).toContain("Evaluate all");
  expect(verdictOf([contender("A", [1, 2])]).sentence).toContain("Add another policy");
});
