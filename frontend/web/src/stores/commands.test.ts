import { expect, test } from "vitest";
import { type Command, createCommands } from "./commands";

const pause: Command = { id: "stage.pause", title: "Pause", group: "Robot", run: () => undefined };

test("given a command, when it is withdrawn, then it is offered no longer", () => {
  const commands = createCommands();
  const withdraw = commands.register(pause);
  expect(commands.store.get()).toEqual([pause]);
  withdraw();
  expect(commands.store.get()).toEqual([]);
});

test("given two commands of one id, when the older is withdrawn, then the newer stays", () => {
  const commands = createCommands();
  const play = { ...pause, title: "Play" };
  const withdraw = commands.register(pause);
  commands.register(play);
  withdraw();
  expect(commands.store.get()).toEqual([play]);
});
