import { useSession } from "../app/session";
import type { Environment } from "../gen/tabrl/scene/v1/scene_pb";
import { ALL } from "../stores/resource";

/** Takes an environment that has only just been made among the others, and goes to its studio unless the person went elsewhere meanwhile. */
export function useNewEnvironment(): (environment: Environment, stillHere: boolean) => void {
  const { gallery, environments, navigation } = useSession();
  return (environment, stillHere) => {
    const environmentId = environment.summary?.environmentId;
    if (!environmentId) return;
    environments.put(environmentId, environment);
    gallery.reload(ALL);
    if (stillHere) navigation.go({ environmentId });
  };
}
