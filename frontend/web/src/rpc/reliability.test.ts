import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { SceneService } from "../gen/tabrl/scene/v1/scene_pb";
import { TrainerService } from "../gen/tabrl/trainer/v1/trainer_pb";
import { createClients } from "./clients";
import { retrying } from "./reliability";

function failing(times: number, code: Code) {
  let calls = 0;
  const fail = () => {
    calls += 1;
    if (calls <= times) throw new ConnectError("away", code);
    return {};
  };
  const delays: number[] = [];
  const transport = createRouterTransport(
    ({ service }) => {
      service(SceneService, { listEnvironments: fail });
      service(TrainerService, { createRun: fail });
    },
    { transport: { interceptors: [retrying(async (ms) => void delays.push(ms))] } },
  );
  return { clients: createClients(transport), delays, calls: () => calls };
}

test("given a read that meets an unavailable service, when it returns, then the call succeeds after growing pauses", async () => {
  const { clients, delays } = failing(3, Code.Unavailable);
  await clients.scene.listEnvironments({});
  expect(delays).toEqual([100, 200, 400]);
});

test("given a service that stays away, when four attempts failed, then the error comes through", async () => {
  const { clients, calls } = failing(9, Code.Unavailable);
  await expect(clients.scene.listEnvironments({})).rejects.toMatchObject({ code: Code.Unavailable });
  expect(calls()).toBe(4);
});

test.each([Code.InvalidArgument, Code.DeadlineExceeded])(
  "given status %s, when a read fails, then it is not repeated",
  async (code) => {
    const { clients, calls } = failing(1, code);
    await expect(clients.scene.listEnvironments({})).rejects.toMatchObject({ code });
    expect(calls()).toBe(1);
  },
);

test("given a call that changes something, when the service is unavailable, then it is not repeated", async () => {
  const { clients, calls } = failing(1, Code.Unavailable);
  await expect(clients.trainer.createRun({})).rejects.toMatchObject({ code: Code.Unavailable });
  expect(calls()).toBe(1);
});
