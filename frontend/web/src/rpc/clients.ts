import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { ExporterService } from "../gen/tabrl/exporter/v1/exporter_pb";
import { RegistryService } from "../gen/tabrl/exporter/v1/registry_pb";
import { SharingService } from "../gen/tabrl/exporter/v1/sharing_pb";
import { InferenceService } from "../gen/tabrl/inference/v1/inference_pb";
import { RewardService } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { MenagerieService } from "../gen/tabrl/scene/v1/menagerie_pb";
import { SceneService } from "../gen/tabrl/scene/v1/scene_pb";
import { TrainerService } from "../gen/tabrl/trainer/v1/trainer_pb";
import { lastingFetch } from "./lastingFetch";
import type { Outages } from "./outage";
import { retrying, UNARY_DEADLINE_MS } from "./reliability";

/** A client of each service. */
export interface Clients {
  readonly scene: Client<typeof SceneService>;
  readonly menagerie: Client<typeof MenagerieService>;
  readonly rewards: Client<typeof RewardService>;
  readonly trainer: Client<typeof TrainerService>;
  readonly exporter: Client<typeof ExporterService>;
  readonly registry: Client<typeof RegistryService>;
  readonly sharing: Client<typeof SharingService>;
  readonly inference: Client<typeof InferenceService>;
}

/** Clients over any transport. */
export function createClients(transport: Transport): Clients {
  return {
    scene: createClient(SceneService, transport),
    menagerie: createClient(MenagerieService, transport),
    rewards: createClient(RewardService, transport),
    trainer: createClient(TrainerService, transport),
    exporter: createClient(ExporterService, transport),
    registry: createClient(RegistryService, transport),
    sharing: createClient(SharingService, transport),
    inference: createClient(InferenceService, transport),
  };
}

/** Binary gRPC-web to the gateway that served the page; `outages` learns of every attempt that finds a service away. */
export function gatewayTransport(outages?: Outages): Transport {
  return createGrpcWebTransport({
    baseUrl: window.location.origin,
    useBinaryFormat: true,
    defaultTimeoutMs: UNARY_DEADLINE_MS,
    fetch: lastingFetch(window),
    interceptors: [retrying(), ...(outages ? [outages.interceptor] : [])],
  });
}
