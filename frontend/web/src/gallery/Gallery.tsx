import { useEffect, useRef } from "react";
import { useSession } from "../app/session";
import { RobotDownload } from "../robots/RobotDownload";
import { useArrived } from "../stores/arrival";
import { ALL, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import { DropZone } from "./DropZone";
import { EnvironmentCard } from "./EnvironmentCard";
import { FilterBar } from "./FilterBar";
import { EVERYTHING, type Filter, filtered } from "./filter";
import styles from "./Gallery.module.css";
import { Intro } from "./Intro";
import { MenagerieRobots } from "./MenagerieRobots";
import { offered } from "./menagerieFilter";
import { RecentRuns } from "./RecentRuns";
import { useTrained } from "./trained";
import { UploadCard } from "./UploadCard";
import { useReached } from "./useReached";

const PLACEHOLDERS = Array.from({ length: 12 }, (_, index) => `waiting-${index}`);

/** The first thing a person sees: what this is, and every environment with its picture. What is looked for is in the URL. */
export function Gallery() {
  const { gallery, menagerie, navigation, runLists, uploader } = useSession();
  const { value: catalogue, failure, loading } = useResource(gallery, ALL);
  const filter: Filter = useStore(navigation.place);
  const uploading = useStore(uploader.store).status !== "idle";
  const trained = useTrained();
  const arrived = useArrived([useResource(runLists, ALL)]);
  const environments = catalogue?.environments;
  const shown = environments && filtered(environments, filter, trained);
  // Asked for once somebody looks that far, or looks for something.
  const [bottom, reached] = useReached<HTMLDivElement>();
  const scenes = useResource(menagerie.scenes, environments && (reached || filter.text) ? ALL : "").value ?? [];
  const robotsByThemselves = offered(scenes, filter);
  const matching = (shown?.length ?? 0) + robotsByThemselves.length;
  const narrow = (change: Partial<Filter>) => navigation.refine(change);
  const robots = useRef<HTMLElement>(null);
  const cameNarrowed = useRef(isNarrowed(filter));

  // Who follows a link to a search, or comes back to one, looks for what it finds, which stands below the first words.
  useEffect(() => {
    if (arrived && cameNarrowed.current) robots.current?.scrollIntoView();
  }, [arrived]);

  return (
    <DropZone className={styles.gallery}>
      <Intro />
      <RecentRuns />
      {/* Earlier runs stand above; the robots wait a moment for them rather than being pushed down by them. */}
      <section ref={robots} aria-labelledby="robots" style={arrived ? undefined : { visibility: "hidden" }}>
        <FilterBar
          environments={environments ?? []}
          filter={filter}
          anyTrained={trained.policies.size > 0}
          onChange={narrow}
        />
        {failure && !environments && (
          <div className={styles.failure}>
            <FailureNotice failure={failure} onRetry={() => gallery.reload(ALL)} />
          </div>
        )}
        {catalogue?.robotDownload && shown?.some(({ robotMissing }) => robotMissing) && (
          <div className={styles.download}>
            <RobotDownload
              title={`${environments?.filter(({ robotMissing }) => robotMissing).length} environments wait for their robots`}
              downloadBytes={catalogue.robotDownload.downloadBytes}
            />
          </div>
        )}
        <p className="hidden-visually" role="status">
          {isNarrowed(filter) && shown ? `${matching} ${matching === 1 ? "robot matches" : "robots match"}` : ""}
        </p>
        <ul className={styles.grid} aria-busy={loading}>
          {environments && (uploading || isOpenToUploads(filter)) && (
            <li>
              <UploadCard />
            </li>
          )}
          {shown?.map((environment, index) => (
            <li key={environment.environmentId}>
              <EnvironmentCard
                environment={environment}
                policyNames={trained.policies.get(environment.environmentId)}
                eager={index < 8}
              />
            </li>
          ))}
          {!environments && !failure && PLACEHOLDERS.map((key) => <li key={key} className={styles.placeholder} />)}
        </ul>
        {shown && matching === 0 && (
          <div className={styles.empty}>
            <p>
              Nothing matches{filter.text && <> “{filter.text}”</>}
              {filter.robot && <> among {filter.robot}</>}.
            </p>
            <Button size="small" onClick={() => narrow(EVERYTHING)}>
              Show all robots
            </Button>
          </div>
        )}
        {robotsByThemselves.length > 0 && <MenagerieRobots scenes={robotsByThemselves} />}
        <div ref={bottom} />
      </section>
    </DropZone>
  );
}

function isNarrowed({ text, robot, category, trained }: Filter): boolean {
  return Boolean(text || robot || category || trained);
}

/** Whether somebody who looks through this much of the gallery may be about to bring a robot. */
function isOpenToUploads({ text, robot, category, trained }: Filter): boolean {
  return !text && !robot && !trained && (!category || category === "custom");
}
