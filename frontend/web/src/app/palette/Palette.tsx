import { Command } from "cmdk";
import { flushSync } from "react-dom";
import { useStore } from "../../stores/store";
import { Dialog } from "../../ui/Dialog";
import { SearchIcon } from "../../ui/icons";
import { KeyCaps } from "../KeyCaps";
import { useSession } from "../session";
import { type Entry, matchOf } from "./entries";
import styles from "./Palette.module.css";
import { useEntries } from "./useEntries";

interface PaletteProps {
  /** What is typed. */
  readonly search: string;
  readonly onSearch: (search: string) => void;
  readonly onClose: () => void;
}

/** Finds anything by a few letters: what can be done here, robots, runs, policies, names. */
export function Palette({ search, onSearch, onClose }: PaletteProps) {
  const { commands, navigation } = useSession();
  const offered = useStore(commands.store);
  const { groups, loading } = useEntries();
  const here: Entry[] = offered
    .filter(({ onlyKey }) => !onlyKey)
    .map(({ id, title, group, keywords = [], shortcut, run }) => ({
      id,
      title,
      about: group,
      keywords,
      ...(shortcut ? { shortcut } : {}),
      run,
    }));

  // What is carried out may open a window of its own, or give the focus to a part of the page, so this one is gone before.
  const choose = (entry: Entry) => {
    flushSync(onClose);
    if (entry.to) navigation.go(entry.to);
    else entry.run?.();
  };

  return (
    <Dialog label="Find anything" onClose={onClose} className={styles.dialog ?? ""} testId="palette">
      <Command label="Find anything" loop filter={(value, search, keywords) => matchOf(value, keywords ?? [], search)}>
        <div className={styles.search}>
          <SearchIcon />
          <Command.Input
            value={search}
            onValueChange={onSearch}
            placeholder="A robot, a run, something to do…"
            data-testid="palette-input"
          />
          <button type="button" className={styles.close} onClick={onClose}>
            Esc<span className="hidden-visually">: close</span>
          </button>
        </div>
        <Command.List className={styles.list} label="Found">
          <Command.Empty className={styles.empty}>
            {/* A list of choices must hold one, also for who hears it only. */}
            <div role="option" aria-selected={false} aria-disabled="true" tabIndex={-1}>
              {loading
                ? "Still looking…"
                : "Nothing is called that. Try a robot, such as “walker”, or a word such as “train”."}
            </div>
          </Command.Empty>
          {[{ heading: "Here", entries: here }, ...groups].map(
            ({ heading, entries }) =>
              entries.length > 0 && (
                <Command.Group key={heading} heading={heading}>
                  {entries.map((entry) => (
                    <Command.Item
                      key={entry.id}
                      value={`${entry.title} ${entry.id}`}
                      keywords={[entry.about, ...entry.keywords]}
                      onSelect={() => choose(entry)}
                      data-testid={`palette-${entry.id}`}
                    >
                      <span className={styles.title}>{entry.title}</span>
                      <span className={styles.about}>{entry.about}</span>
                      {entry.shortcut && <KeyCaps shortcut={entry.shortcut} />}
                    </Command.Item>
                  ))}
                </Command.Group>
              ),
          )}
        </Command.List>
      </Command>
    </Dialog>
  );
}
