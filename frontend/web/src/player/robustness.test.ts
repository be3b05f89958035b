import { expect, test } from "vitest";
import { drawsFrom } from "./play/disturbance";
import { type DisturbanceName, type Outcome, outcomeOf, reportOf } from "./robustness";

test("given an episode that the environment ends, when it is measured, then it lasted until the tick before", () => {
  expect(outcomeOf({ ended: "done", reward: [0, 1, 1] }, 10)).toEqual({ survival: 0.2, episodeReturn: 2 });
  expect(outcomeOf({ ended: "", reward: Array(10).fill(1) }, 10)).toEqual({ survival: 1, episodeReturn: 10 });
  expect(outcomeOf({ ended: "time", reward: Array(11).fill(1) }, 10)).toEqual({ survival: 1, episodeReturn: 11 });
  expect(outcomeOf({ ended: "done", reward: [0] }, 10).survival).toBe(0);
  expect(outcomeOf({ ended: "done", reward: [1, Number.NaN] }, 10)).toEqual({ survival: 0.1, episodeReturn: 1 });
});

function outcomes(some: Readonly<Record<string, readonly Outcome[]>>) {
  return new Map(Object.entries(some) as [DisturbanceName, readonly Outcome[]][]);
}

test("given undisturbed and disturbed episodes, when they are compared, then by their means, and luck is bounded", () => {
  const report = reportOf(
    outcomes({
      none: [
        { survival: 1, episodeReturn: 90 },
        { survival: 1, episodeReturn: 110 },
      ],
      pushes: [
        { survival: 0.5, episodeReturn: 30 },
        { survival: 1, episodeReturn: 70 },
      ],
      weak: [{ survival: 1, episodeReturn: 300 }],
      delay: [{ survival: 0.1, episodeReturn: -20 }],
    }),
  );

  expect(report.trials).toEqual([
    { disturbance: "none", survival: 1, relativeReturn: 1 },
    { disturbance: "pushes", survival: 0.75, relativeReturn: 0.5 },
    { disturbance: "weak", survival: 1, relativeReturn: 1.2 },
    { disturbance: "delay", survival: 0.1, relativeReturn: 0 },
  ]);
});

test("given a return that is not above 0, when others are compared with it, then only survival is told", () => {
  const { trials } = reportOf(
    outcomes({ none: [{ survival: 1, episodeReturn: -5 }], pushes: [{ survival: 1, episodeReturn: -2 }] }),
  );

  expect(trials.map(({ relativeReturn }) => relativeReturn)).toEqual([null, null]);
});

test("given a seed, when draws are made from it, then they are the same each time, spread evenly, and others for another seed", () => {
  const [first, again, other] = [drawsFrom(7), drawsFrom(7), drawsFrom(8)];
  const draws = Array.from({ length: 1000 }, first);

  expect(Array.from({ length: 1000 }, again)).toEqual(draws);
  expect(other()).not.toBe(draws[0]);
  expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true);
  expect(draws.reduce((sum, draw) => sum + draw, 0) / 1000).toBeCloseTo(0.5, 1);
});
