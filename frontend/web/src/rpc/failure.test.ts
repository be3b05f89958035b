import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { RetryInfoSchema } from "../gen/google/rpc/error_details_pb";
import { createBackend } from "../testing/backend";
import { typedError } from "../testing/typedError";
import { createClients } from "./clients";
import { failureFrom, violationOf } from "./failure";

test("given an error with details, when it is read, then reason, fields and remedy are there", () => {
  const thrown = typedError(Code.InvalidArgument, "INVALID_FIELD", "prompt is too long", [
    ["prompt", "at most 4000 characters"],
  ]);
  const failure = failureFrom(thrown);
  expect(failure).toMatchObject({ status: "INVALID_ARGUMENT", reason: "INVALID_FIELD", message: "Prompt is too long" });
  expect(violationOf(failure, "prompt")?.description).toBe("at most 4000 characters");
  expect(violationOf(failure, "model")).toBeUndefined();
});

test("given a message that begins with a name, then the name stays as it is spelt", () => {
  const thrown = new ConnectError("go1-dance@3 is tagged stable.", Code.FailedPrecondition);
  expect(failureFrom(thrown).message).toBe("go1-dance@3 is tagged stable.");
  const model = new ConnectError("openai/gpt refuses the key.", Code.FailedPrecondition);
  expect(failureFrom(model).message).toBe("openai/gpt refuses the key.");
  const refused = new ConnectError("scene.xml, line 3: invalid keyword.", Code.InvalidArgument);
  expect(failureFrom(refused).message).toBe("scene.xml, line 3: invalid keyword.");
});

test("given a nested violation, when asked for the last part of its name, then it is found", () => {
  const failure = failureFrom(
    typedError(Code.InvalidArgument, "INVALID_FIELD", "bad", [["spec.settings.env_steps", "too few"]]),
  );
  expect(violationOf(failure, "env_steps")?.description).toBe("too few");
});

test("given metadata, when the remedy is told, then it names the nearest", async () => {
  const { scene } = createClients(createBackend().transport);
  const failure = await scene.getEnvironment({ environmentId: "Cartpole" }).catch(failureFrom);
  expect(failure).toMatchObject({ reason: "ENVIRONMENT_NOT_FOUND", remedy: "Did you mean CartpoleBalance?" });
});

test("given RetryInfo, when it is read, then the delay is in seconds", () => {
  const value = { retryDelay: { seconds: 2n, nanos: 500_000_000 } };
  const thrown = new ConnectError("wait", Code.ResourceExhausted, undefined, [{ desc: RetryInfoSchema, value }]);
  expect(failureFrom(thrown)).toMatchObject({ retryAfterSecs: 2.5, transient: true });
});

test("given no details at all, when the gateway is gone, then the message says what to look at", () => {
  const failure = failureFrom(new ConnectError("upstream connect error", Code.Unavailable));
  expect(failure.reason).toBe("");
  expect(failure.remedy).toContain("make up");
});

test("given a message that begins with a file's name, when it is read, then the name is spelt as it is", () => {
  expect(failureFrom(new Error("arm.xml, line 1: not closed")).message).toBe("arm.xml, line 1: not closed");
});

test("given something that is no call's error, when it is read, then it is not taken for one that passes", () => {
  expect(failureFrom(new Error("boom"))).toMatchObject({ status: "UNKNOWN", message: "Boom", transient: false });
});
