import { useSession } from "../app/session";
import type { Environment } from "../gen/tabrl/scene/v1/scene_pb";
import { ALL } from "../stores/resource";

/** Goes to the studio of an environment that has only just been made. */
export function useNewEnvironment(): (environment: Environment) => void {
  const { gallery, environments, navigation } = useSession();
  return (environment) => {
    const environmentId = environment.summary?.environmentId;
    if (!environmentId) return;
    environments.put(environmentId, environment);
    gallery.reload(ALL);
    navigation.go({ environmentId });
  };
}
