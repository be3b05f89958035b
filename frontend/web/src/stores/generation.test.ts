import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { DiagnosticSchema, GenerationPhase as Phase, RewardService } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { createClients } from "../rpc/clients";
import type { Failure } from "../rpc/failure";
import { createBackend } from "../testing/backend";
import { SOURCE } from "../testing/rewardsBackend";
import { createRewardWriter, problemOf, problemsOf, promptProblem } from "./generation";

function writer() {
  return createRewardWriter(createClients(createBackend().transport).rewards);
}

test("given a prompt, when a reward is written, then stages and source arrive and the sealed reward ends it", async () => {
  const { generation, generate } = writer();
  const messages = new Set<string>();
  generation.subscribe(() => messages.add(generation.get().message));
  const reward = await generate("CartpoleBalance", "stay upright", "");
  expect(reward?.terms.map(({ name }) => name)).toEqual(["upright", "centred", "effort"]);
  expect(generation.get()).toMatchObject({ status: "done", source: SOURCE });
  expect([...messages]).toContain("tracing in the jail");
});

test("given a model that breaks off, when another begins, then its source begins anew", async () => {
  const stage = (message: string) => ({ event: { case: "stage" as const, value: { phase: Phase.WRITING, message } } });
  const piece = (value: string) => ({ event: { case: "sourceDelta" as const, value } });
  const transport = createRouterTransport(({ service }) =>
    service(RewardService, {
      async *generateReward() {
        yield* [
          stage("asking the first"),
          piece("def rew"),
          stage("asking the second"),
          piece("def reward"),
          piece("(state"),
        ];
        yield { event: { case: "reward" as const, value: { rewardId: "reward-1" } } };
      },
    }),
  );
  const { generation, generate } = createRewardWriter(createClients(transport).rewards);

  await generate("CartpoleBalance", "stay upright", "");

  expect(generation.get()).toMatchObject({ status: "done", source: "def reward(state", message: "asking the second" });
});

test("given an answer that breaks off, when the same is asked again, then it is the same request; what is asked after that is another", async () => {
  const requestIds: string[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(RewardService, {
      async *generateReward({ requestId }) {
        requestIds.push(requestId);
        yield { event: { case: "sourceDelta" as const, value: "def reward" } };
        if (requestIds.length === 1) throw new ConnectError("connection reset", Code.Unavailable);
        yield { event: { case: "reward" as const, value: { rewardId: "reward-1" } } };
      },
    }),
  );
  const { generate } = createRewardWriter(createClients(transport).rewards);

  expect(await generate("CartpoleBalance", "stay upright", "")).toBeUndefined();
  for (let time = 0; time < 2; time++) expect(await generate("CartpoleBalance", "stay upright", "")).toBeDefined();

  const [broken, again, anew] = requestIds;
  expect(again).toBe(broken);
  expect(anew).not.toBe(broken);
});

test("given an unknown behaviour, when the library refuses, then the remedy names the nearest one", async () => {
  const { generation, generate } = writer();
  expect(await generate("CartpoleBalance", "juggle", "")).toBeUndefined();
  expect(generation.get().failure).toMatchObject({ reason: "BEHAVIOUR_UNKNOWN" });
  expect(generation.get().failure?.remedy).toContain("balance");
});

test("given an empty prompt, when it is submitted, then it fails at the field without a call", async () => {
  const { generation, generate } = writer();
  await generate("CartpoleBalance", "  ", "");
  expect(generation.get().failure?.fields[0]?.field).toBe("prompt");
});

test.each([
  ["", "few words"],
  ["x".repeat(4001), "4,001 characters"],
])("given a prompt out of bounds, then the problem is said", (prompt, said) => {
  expect(promptProblem(prompt)).toContain(said);
});

test("given 4000 characters beyond the basic plane, then they count as 4000", () => {
  expect(promptProblem("🤖".repeat(4000))).toBeUndefined();
});

test("given refused source, when it is compiled, then the place is known by line and column", async () => {
  const refused = writer().compile("CartpoleBalance", "import os\n", {}, "");
  const failure = await refused.catch((thrown: Failure) => thrown);
  expect(problemsOf(failure as Failure)).toMatchObject([{ line: 1, column: 1, severity: "error" }]);
});

test("given weights of terms that an edit took out, when it is compiled, then it is sealed without them", async () => {
  const edited = SOURCE.replace("centred", "middle").replace("effort", "calm");
  const sealed = await writer().compile("CartpoleBalance", edited, { upright: 2, centred: 1, effort: -0.1 }, "");
  expect(sealed.source).toBe(edited);
});

test("given a warning with a suggestion, when it is shown, then both are sentences", () => {
  const warning = create(DiagnosticSchema, {
    line: 3,
    message: "doing nothing earns 1.9 a step",
    suggestion: "use a factor",
  });
  expect(problemOf(warning).message).toBe("Doing nothing earns 1.9 a step. Use a factor.");
});
