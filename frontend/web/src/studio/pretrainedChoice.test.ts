import type { MessageInitShape } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ExporterService, type PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { type RegisteredPolicySchema, RegistryService } from "../gen/tabrl/exporter/v1/registry_pb";
import { createClients } from "../rpc/clients";
import { choosePretrained } from "./pretrainedChoice";

type Registered = MessageInitShape<typeof RegisteredPolicySchema>;
type Trained = MessageInitShape<typeof PolicySchema>;

const GO1 = "Go1JoystickFlatTerrain";

function trained(policyId: string, environmentId = GO1): Trained {
  const envSteps = 3_000_000n;
  return { policyId, environmentId, envSteps, title: "its own task", controller: { sha256: "a".repeat(64) } };
}

/** What is chosen where these are registered and trained, each newest first. */
function choose(registered: readonly Registered[], policies: readonly Trained[]) {
  const transport = createRouterTransport(({ service }) => {
    service(RegistryService, {
      listRegisteredPolicies: ({ environmentId }) => ({
        registered: registered.filter((each) => each.environmentId === environmentId),
      }),
    });
    service(ExporterService, {
      listPolicies: ({ environmentId }) => ({
        policies: policies.filter((each) => each.environmentId === environmentId),
      }),
    });
  });
  return choosePretrained(createClients(transport), GO1);
}

test("given a registered name, when a robot is shown first, then its newest version drives rather than what was trained last", async () => {
  const dance = { name: "go1-dance", environmentId: GO1, versions: [{ number: 3, policy: trained("dance-3") }] };
  const chosen = await choose([dance], [trained("newest")]);
  expect(chosen?.policy.policyId).toBe("dance-3");
  expect(chosen?.name).toBe("go1-dance, version 3");
});

test("given nothing registered for this robot, when it is shown first, then what was trained last drives", async () => {
  const other = {
    name: "walk",
    environmentId: "WalkerWalk",
    versions: [{ number: 1, policy: trained("w", "WalkerWalk") }],
  };
  const chosen = await choose([other], [trained("w", "WalkerWalk"), trained("newest"), trained("older")]);
  expect(chosen?.policy.policyId).toBe("newest");
  expect(chosen?.name).toBe("its own task, 3M steps");
});

test("given policies without a controller, when a robot is shown first, then none of them drives", async () => {
  const { controller, ...imported } = trained("imported");
  expect(controller).toBeDefined();
  const empty = { name: "go1-dance", environmentId: GO1, versions: [{ number: 1, policy: imported }] };
  expect(await choose([empty], [imported])).toBeNull();
});
