import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { InferenceService } from "../gen/tabrl/inference/v1/inference_pb";
import { SceneService } from "../gen/tabrl/scene/v1/scene_pb";
import { createClients } from "./clients";
import { failureFrom } from "./failure";
import { createOutages } from "./outage";

function failing(error: unknown) {
  const outages = createOutages();
  const heard = vi.fn();
  outages.subscribe(heard);
  const breaking: typeof outages.interceptor = (next) => async (request) => {
    if (!request.stream) throw error;
    const response = await next(request);
    async function* broken() {
      yield* [];
      throw error;
    }
    return response.stream ? { ...response, message: broken() } : response;
  };
  const transport = createRouterTransport(
    ({ service }) => {
      service(SceneService, {});
      service(InferenceService, { async *evaluate() {} });
    },
    { transport: { interceptors: [outages.interceptor, breaking] } },
  );
  return { heard, clients: createClients(transport) };
}

async function drained(stream: AsyncIterable<unknown>) {
  for await (const _ of stream);
}

test("given a stream that breaks off, when its error is read, then it names the service and passes", async () => {
  const { heard, clients } = failing(new TypeError("network error"));
  const failure = await drained(clients.inference.evaluate({})).catch(failureFrom);
  expect(failure).toMatchObject({ reason: "SERVICE_UNAVAILABLE", status: "UNAVAILABLE", transient: true });
  expect(failure?.message).toContain("The Inference service");
  expect(heard).toHaveBeenCalledTimes(1);
});

test("given a gateway that is gone, when a call fails, then the message is about TabRL and not about one service", async () => {
  const { heard, clients } = failing(new TypeError("Failed to fetch"));
  const failure = await clients.scene.getEnvironment({}).catch(failureFrom);
  expect(failure).toMatchObject({ reason: "", status: "UNAVAILABLE", message: "TabRL does not answer." });
  expect(heard).toHaveBeenCalledTimes(1);
});

test("given an error that the service gave, when it is read, then it is unchanged and no outage", async () => {
  const { heard, clients } = failing(new ConnectError("no such environment", Code.NotFound));
  await expect(clients.scene.getEnvironment({})).rejects.toMatchObject({ code: Code.NotFound });
  expect(heard).not.toHaveBeenCalled();
});
