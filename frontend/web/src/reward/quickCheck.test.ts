import { pythonLanguage } from "@codemirror/lang-python";
import { Text } from "@codemirror/state";
import { expect, test } from "vitest";
import { SOURCE } from "../testing/rewardsBackend";
import { quickProblems } from "./quickCheck";

function check(source: string) {
  const problems = quickProblems(pythonLanguage.parser.parse(source), Text.of(source.split("\n")));
  return problems.map(({ line, column, message }) => `${line}:${column} ${message.split(":")[0]}`);
}

test("given source that keeps to the language, then nothing is wrong at first sight", () => {
  expect(check(SOURCE)).toEqual([]);
});

test.each([
  [`import os\n${SOURCE}`, ["1:1 import-forbidden"]],
  [`from os import path\n${SOURCE}`, ["1:1 import-forbidden"]],
  ["def reward(state, action):\n    while True:\n        pass\n    return {}\n", ["2:5 while-forbidden"]],
  ["def reward(state, action):\n    f = lambda x: x\n    return {}\n", ["2:9 lambda-forbidden"]],
  ["class A:\n    pass\ndef reward(state, action):\n    return {}\n", ["1:1 class-forbidden"]],
  ["def reward(state, action):\n    return {'a': (1.0}\n", ["2:22 Python cannot read this."]],
  ["def helper(x):\n    return x\n", ["0:0 missing-reward"]],
])("given %j, then it is told where and why", (source, found) => {
  expect(check(source)).toEqual(found);
});
