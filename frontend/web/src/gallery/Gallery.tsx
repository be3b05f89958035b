import { useState } from "react";
import { ALL, useSession } from "../app/session";
import { RobotDownload } from "../robots/RobotDownload";
import { useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { SearchIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import { EnvironmentCard } from "./EnvironmentCard";
import { categoryTitle, EVERYTHING, type Filter, filtered, tally } from "./filter";
import styles from "./Gallery.module.css";
import { RecentRuns } from "./RecentRuns";
import { UploadCard } from "./UploadCard";

const PLACEHOLDERS = Array.from({ length: 12 }, (_, index) => `waiting-${index}`);

/** The first thing a person sees: what this is, and every environment with its picture. */
export function Gallery() {
  const { gallery } = useSession();
  const { value: catalogue, failure, loading } = useResource(gallery, ALL);
  const environments = catalogue?.environments;
  const [filter, setFilter] = useState(EVERYTHING);
  const shown = environments && filtered(environments, filter);
  const categories = tally(environments?.map(({ category }) => category) ?? []);
  const robots = tally(
    environments
      ?.filter(({ category }) => !filter.category || category === filter.category)
      .map(({ robot }) => robot) ?? [],
  );

  return (
    <div className={styles.gallery}>
      <section className={styles.intro}>
        <h1>
          Tell a robot what to do.
          <br />
          Watch it <mark>learn</mark> in this tab.
        </h1>
        <ol className={styles.steps}>
          <li>
            <strong>Choose a robot.</strong> Each one is simulated right here, in your browser.
          </li>
          <li>
            <strong>Describe a behaviour.</strong> Your words become a reward: what the robot earns for doing it.
          </li>
          <li>
            <strong>Train.</strong> It practises on this machine and drives the robot better by the minute.
          </li>
        </ol>
      </section>

      <RecentRuns />

      <section aria-labelledby="robots">
        <div className={styles.bar}>
          <h2 id="robots">Choose a robot</h2>
          <label className={styles.search}>
            <SearchIcon />
            <span className="hidden-visually">Search robots and tasks</span>
            <input
              className={fieldStyles.input}
              type="search"
              placeholder="Search: walk, swing, reach…"
              value={filter.text}
              onChange={(event) => setFilter({ ...filter, text: event.target.value })}
              data-testid="search"
            />
          </label>
        </div>
        {categories.length > 1 && (
          <Choices
            label="Category"
            options={categories}
            title={categoryTitle}
            chosen={filter.category}
            onChoose={(category) => setFilter({ ...filter, category, robot: "" })}
          />
        )}
        <Choices
          label="Robot"
          options={robots}
          title={(robot) => robot}
          chosen={filter.robot}
          onChoose={(robot) => setFilter({ ...filter, robot })}
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
        <ul className={styles.grid} aria-busy={loading}>
          {environments && isOpenToUploads(filter) && (
            <li>
              <UploadCard />
            </li>
          )}
          {shown?.map((environment, index) => (
            <li key={environment.environmentId}>
              <EnvironmentCard environment={environment} eager={index < 8} />
            </li>
          ))}
          {!environments && !failure && PLACEHOLDERS.map((key) => <li key={key} className={styles.placeholder} />)}
        </ul>
        {shown?.length === 0 && (
          <div className={styles.empty}>
            <p>
              Nothing matches{filter.text && <> “{filter.text}”</>}
              {filter.robot && <> among {filter.robot}</>}.
            </p>
            <Button size="small" onClick={() => setFilter(EVERYTHING)}>
              Show all robots
            </Button>
          </div>
        )}
      </section>
    </div>
  );
}

/** Whether somebody who looks through this much of the gallery may be about to bring a robot. */
function isOpenToUploads({ text, robot, category }: Filter): boolean {
  return !text && !robot && (!category || category === "custom");
}

interface ChoicesProps {
  readonly label: string;
  readonly options: readonly (readonly [value: string, count: number])[];
  readonly title: (value: string) => string;
  readonly chosen: string;
  readonly onChoose: (value: string) => void;
}

function Choices({ label, options, title, chosen, onChoose }: ChoicesProps) {
  return (
    <fieldset className={styles.choices}>
      <legend className="hidden-visually">{label}</legend>
      <button type="button" aria-pressed={chosen === ""} onClick={() => onChoose("")}>
        All
      </button>
      {options.map(([value, count]) => (
        <button
          type="button"
          key={value}
          aria-pressed={chosen === value}
          onClick={() => onChoose(chosen === value ? "" : value)}
        >
          {title(value)}
          {count > 1 && <span className="number">{count}</span>}
        </button>
      ))}
    </fieldset>
  );
}
