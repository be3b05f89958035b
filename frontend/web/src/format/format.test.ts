import { expect, test } from "vitest";
import {
  formatAgo,
  formatCount,
  formatDuration,
  formatEstimate,
  formatName,
  formatPercent,
  formatReward,
} from "./format";

const plain = (text: string) => text.replaceAll("\u00a0", " ");

test.each([
  [0, "0"],
  [950, "950"],
  [1000, "1k"],
  [12_480, "12.5k"],
  [240_000n, "240k"],
  [999_600, "1M"],
  [3_240_000, "3.2M"],
  [60_000_000, "60M"],
  [Number.NaN, "–"],
])("count %s is %s", (count, text) => expect(formatCount(count)).toBe(text));

test.each([
  [0.42, "0.4 s"],
  [48.4, "48 s"],
  [59.7, "1 min"],
  [125, "2 min 5 s"],
  [4800, "1 h 20 min"],
  [7199, "2 h"],
  [-1, "–"],
])("duration %s is %s", (secs, text) => expect(plain(formatDuration(secs))).toBe(text));

test.each([
  [2, "a few seconds"],
  [22, "about 20 s"],
  [58, "about 1 min"],
  [128, "about 2 min 10 s"],
  [1000, "about 17 min"],
])("estimate %s is %s", (secs, text) => expect(plain(formatEstimate(secs))).toBe(text));

test.each([
  [0, "0"],
  [0.001, "1e-3"],
  [0.1234, "0.12"],
  [12.34, "12.3"],
  [872.6, "873"],
  [-3, "-3"],
  [123_456, "123k"],
])("reward %s is %s", (value, text) => expect(formatReward(value)).toBe(text));

test.each([
  [0.999, "99 %"],
  [1, "100 %"],
  [0.5, "50 %"],
])("share %s is %s", (share, text) => expect(plain(formatPercent(share))).toBe(text));

test.each([
  [10, "just now"],
  [600, "10 min ago"],
  [7200, "2 h ago"],
  [90_000, "yesterday"],
])("%s seconds ago is %s", (secs, text) => {
  const nowMs = 1_800_000_000_000;
  const seconds = BigInt(nowMs / 1000 - secs);
  expect(formatAgo({ $typeName: "google.protobuf.Timestamp", seconds, nanos: 0 }, nowMs)).toBe(text);
});

test("a term's name is read as words", () => expect(formatName("upright_bonus")).toBe("Upright bonus"));
