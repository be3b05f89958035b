/** The services by the names that `/healthz` and the gateway give them. */
export const SERVICE_NAMES = ["scene", "rewardgen", "trainer", "exporter", "inference"] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** What the page calls them. */
export const SERVICE_TITLES: Readonly<Record<ServiceName, string>> = {
  scene: "Scene",
  rewardgen: "RewardGen",
  trainer: "Trainer",
  exporter: "Exporter",
  inference: "Inference",
};

/** Whose method that is, from a full name such as `tabrl.trainer.v1.TrainerService`; undefined for a service of another kind. */
export function serviceOf(typeName: string): ServiceName | undefined {
  const [, name] = typeName.split(".");
  return SERVICE_NAMES.find((each) => each === name);
}
