import { useRef } from "react";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import { bringIntoView } from "../ui/bringIntoView";
import fieldStyles from "../ui/Field.module.css";
import { SearchIcon } from "../ui/icons";
import styles from "./FilterBar.module.css";
import { categoryTitle, type Filter, ORDERS, tally } from "./filter";

interface FilterBarProps {
  readonly environments: readonly EnvironmentSummary[];
  readonly filter: Filter;
  /** Whether there is any policy, so that one can look for what has some. */
  readonly anyTrained: boolean;
  readonly onChange: (change: Partial<Filter>) => void;
}

/** The gallery's heading with everything by which it is narrowed and ordered. */
export function FilterBar({ environments, filter, anyTrained, onChange }: FilterBarProps) {
  const bar = useRef<HTMLDivElement>(null);
  const categories = tally(environments.map(({ category }) => category));
  const known = environments.length > 0;
  const robots = tally(
    environments.filter(({ category }) => !filter.category || category === filter.category).map(({ robot }) => robot),
  );
  return (
    <>
      <div ref={bar} className={styles.bar}>
        <h2 id="robots">Choose a robot</h2>
        <div className={styles.end}>
          <label className={styles.order}>
            <span className="hidden-visually">Order</span>
            <select
              className={fieldStyles.input}
              value={filter.order}
              onChange={(event) => onChange({ order: event.target.value })}
              data-testid="order"
            >
              {ORDERS.map(({ order, title }) => (
                <option key={order} value={order}>
                  {title}
                </option>
              ))}
            </select>
          </label>
          <label className={styles.search}>
            <SearchIcon />
            <span className="hidden-visually">Search robots and tasks</span>
            <input
              className={fieldStyles.input}
              type="search"
              placeholder="Search: walk, swing, reach…"
              value={filter.text}
              onChange={(event) => {
                onChange({ text: event.target.value });
                // What is found stands below, where it would not be seen.
                bringIntoView(bar.current, "start");
              }}
              data-testid="search"
            />
          </label>
        </div>
      </div>
      {(categories.length > 1 || anyTrained) && (
        <Choices
          label="Category"
          known={known}
          options={categories}
          title={categoryTitle}
          chosen={filter.category}
          onChoose={(category) => onChange({ category, robot: "" })}
        >
          {(anyTrained || filter.trained) && (
            <button
              type="button"
              aria-pressed={filter.trained !== ""}
              onClick={() => onChange({ trained: filter.trained ? "" : "1" })}
              data-testid="only-trained"
            >
              Trained
            </button>
          )}
        </Choices>
      )}
      <Choices
        label="Robot"
        known={known}
        options={robots}
        title={(robot) => robot}
        chosen={filter.robot}
        onChoose={(robot) => onChange({ robot })}
      />
    </>
  );
}

interface ChoicesProps {
  readonly label: string;
  /** Whether there is anything to choose from yet; until then its place is kept. */
  readonly known: boolean;
  readonly options: readonly (readonly [value: string, count: number])[];
  readonly title: (value: string) => string;
  readonly chosen: string;
  readonly onChoose: (value: string) => void;
  /** What can be chosen besides. */
  readonly children?: React.ReactNode;
}

function Choices({ label, known, options, title, chosen, onChoose, children }: ChoicesProps) {
  return (
    <fieldset className={`${styles.choices} ${known ? "" : styles.waiting}`}>
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
      {children}
    </fieldset>
  );
}
