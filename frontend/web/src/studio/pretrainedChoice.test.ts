import type { MessageInitShape } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ExporterService, type PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { type RegisteredPolicySchema, RegistryService } from "../gen/tabrl/exporter/v1/registry_pb";
import { createClients } from "../rpc/clients";
import { choosePretrained, pretrainedOf, wordsFor } from "./pretrainedChoice";

type Registered = MessageInitShape<typeof RegisteredPolicySchema>;
type Trained = MessageInitShape<typeof PolicySchema>;

const GO1 = "Go1JoystickFlatTerrain";

function trained(policyId: string, environmentId = GO1) {
  const envSteps = 3_000_000n;
  return { policyId, environmentId, envSteps, title: "its own task", controller: { sha256: "a".repeat(64) } };
}

function rewarded(policyId: string, rewardId: string) {
  return { ...trained(policyId), title: "spin", reward: { rewardId } };
}

/** What is chosen where these are registered and trained, each newest first, while this reward is chosen, or none. */
async function choose(registered: readonly Registered[], policies: readonly Trained[], rewardId = "") {
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
  return choosePretrained(await pretrainedOf(createClients(transport), GO1), rewardId);
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
  expect(await choose([empty], [imported])).toBeUndefined();
});

test("given a name registered for another reward, when a robot is shown, then one for the chosen reward or else its own task is preferred", async () => {
  const propeller = {
    name: "propeller",
    environmentId: GO1,
    versions: [{ number: 1, policy: rewarded("p-1", "r-spin") }],
  };
  const policies = [rewarded("newest", "r-spin"), rewarded("jumps", "r-jump"), trained("walks")];
  const chosenFor = async (rewardId: string) => (await choose([propeller], policies, rewardId))?.policy.policyId;
  expect(await chosenFor("")).toBe("walks");
  expect(await chosenFor("r-jump")).toBe("jumps");
  expect(await chosenFor("r-spin")).toBe("p-1");
  expect(await chosenFor("r-new")).toBe("walks");
});

test.each<[Trained, string]>([
  [trained("walks"), "Pretrained: propeller, version 1"],
  [rewarded("spins", "r-spin"), "Your propeller, version 1"],
  [{ ...trained("spins"), lineage: { rewardId: "r-spin" } }, "Your propeller, version 1"],
])("given nothing but the registered policy %o, when it drives, then it is called %s", async (policy, words) => {
  const propeller = { name: "propeller", environmentId: GO1, versions: [{ number: 1, policy }] };
  const chosen = await choose([propeller], []);
  expect(chosen && wordsFor(chosen)).toBe(words);
});
