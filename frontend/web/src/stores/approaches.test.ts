import { createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { RewardService } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { createClients } from "../rpc/clients";
import { createBackend } from "../testing/backend";
import { eventually } from "../testing/eventually";
import { createApproachWriter } from "./approaches";

function tabMemory() {
  const kept = new Map<string, string>();
  return {
    read: (key: string) => kept.get(key) ?? "",
    write: (key: string, text: string) => void kept.set(key, text),
  };
}

function writer(memory = tabMemory()) {
  return createApproachWriter(createClients(createBackend().transport).rewards, memory);
}

test("given a prompt, when three approaches are written, then each is sealed under its number", async () => {
  const { store, write } = writer();
  await write("CartpoleBalance", " stay upright ", "");
  expect(store.get()).toMatchObject({ status: "done", prompt: "stay upright" });
  expect(store.get().approaches.map(({ number, status, reward }) => [number, status, reward?.name])).toEqual([
    [1, "sealed", "As asked"],
    [2, "sealed", "Smooth"],
    [3, "sealed", "All at once"],
  ]);
});

test("given approaches that come out alike or fail, when the others are sealed, then each says why it is none", async () => {
  const { store, write } = writer();
  await write("CartpoleBalance", "alike and broken", "");
  const [first, second, third] = store.get().approaches;
  expect(first?.status).toBe("sealed");
  expect(second).toMatchObject({ status: "same", sameAs: 1 });
  expect(third).toMatchObject({ status: "failed", failure: { reason: "PROVIDER_TIMEOUT" } });
});

test("given a page that is reloaded, when it comes back to the robot, then the same request brings the approaches back", async () => {
  const asked: string[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(RewardService, {
      async *generateApproaches({ requestId }) {
        asked.push(requestId);
        yield { approach: 1, event: { case: "reward" as const, value: { rewardId: "reward-1" } } };
      },
    }),
  );
  const memory = tabMemory();
  const { rewards } = createClients(transport);
  await createApproachWriter(rewards, memory).write("CartpoleBalance", "stay upright", "");

  const reloaded = createApproachWriter(rewards, memory);
  reloaded.resume("WalkerWalk");
  expect(reloaded.store.get().status).toBe("idle");
  reloaded.resume("CartpoleBalance");
  await eventually(() => expect(reloaded.store.get().approaches[0]?.reward?.rewardId).toBe("reward-1"));
  expect(asked).toHaveLength(2);
  expect(asked[1]).toBe(asked[0]);
});

test("given approaches that were put away, when the page is reloaded, then nothing comes back", async () => {
  const memory = tabMemory();
  const first = writer(memory);
  await first.write("CartpoleBalance", "stay upright", "");
  first.clear();
  const reloaded = writer(memory);
  reloaded.resume("CartpoleBalance");
  expect(reloaded.store.get().status).toBe("idle");
});

test("given approaches that are called off, when the robot is opened again, then they are not written by themselves", async () => {
  const memory = tabMemory();
  const first = writer(memory);
  const writing = first.write("CartpoleBalance", "stay upright", "");
  first.cancel();
  await writing;
  expect(first.store.get().status).toBe("idle");
  first.resume("CartpoleBalance");
  writer(memory).resume("CartpoleBalance");
  expect(first.store.get().status).toBe("idle");
});

test("given a refusal of all, when the library knows nothing like it, then the set fails with the reason", async () => {
  const { store, write } = writer();
  await write("CartpoleBalance", "juggle", "");
  expect(store.get()).toMatchObject({ status: "failed", failure: { reason: "BEHAVIOUR_UNKNOWN" } });
});

test("given an empty prompt, when approaches are asked for, then it fails at the field without a call", async () => {
  const { store, write } = writer();
  await write("CartpoleBalance", " ", "");
  expect(store.get().failure?.fields[0]?.field).toBe("prompt");
});
