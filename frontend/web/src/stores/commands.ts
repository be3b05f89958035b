import { createContext, useContext, useEffect, useRef } from "react";
import { createStore, type Store } from "./store";

/** Something that can be done at present: found in the palette, and by its key. */
export interface Command {
  /** Distinguishes it from all others, such as `stage.pause`; of two with the same id the newer counts. */
  readonly id: string;
  /** What it does, in the words of a button, such as `Pause`. */
  readonly title: string;
  /** What it belongs to in the palette and in the list of keys, such as `Robot`. */
  readonly group: string;
  /** Other words that a person may look for it by. */
  readonly keywords?: readonly string[];
  /** Its key as `KeyboardEvent.key` has it, with `Mod+` (Ctrl, on a Mac Cmd) or `Shift+` before it where needed: `Mod+k`, `?`, `r`, `Space`. */
  readonly shortcut?: string;
  /** Another part of the page listens for the key, such as one that is held down; here it is only told. */
  readonly listensItself?: boolean;
  /** Carried out again and again while the key is held down. */
  readonly repeats?: boolean;
  /** Cannot be chosen from the palette, where it would mean nothing: a key that is held down. */
  readonly onlyKey?: boolean;
  readonly run: () => void;
}

/** What can be done at present, by whoever offers it. */
export interface Commands {
  readonly store: Store<readonly Command[]>;
  /** Offers a command until the answer is called. */
  register(command: Command): () => void;
}

export function createCommands(): Commands {
  const store = createStore<readonly Command[]>([]);
  return {
    store,
    register(command) {
      store.set((all) => [...all.filter(({ id }) => id !== command.id), command]);
      return () => store.set((all) => (all.includes(command) ? all.filter((each) => each !== command) : all));
    },
  };
}

const CommandsContext = createContext<Commands | undefined>(undefined);
export const CommandsProvider = CommandsContext.Provider;

export function useCommands(): Commands {
  const commands = useContext(CommandsContext);
  if (!commands) throw new Error("no commands around this component");
  return commands;
}

/** Offers a command as long as the component is on the page; `when` false withdraws it. */
export function useCommand(command: Command, when = true): void {
  const commands = useCommands();
  const latest = useRef(command);
  latest.current = command;
  const { id, title, group, keywords, shortcut, listensItself, repeats, onlyKey } = command;
  const words = keywords?.join("\n");
  // What a command does may change with every rendering; who lists commands sees only a change of what they say.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what the command says stands for the command
  useEffect(() => {
    if (!when) return;
    return commands.register({ ...latest.current, run: () => latest.current.run() });
  }, [commands, when, id, title, group, words, shortcut, listensItself, repeats, onlyKey]);
}
