// @vitest-environment jsdom
import { cleanup, fireEvent, render } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { TypedMeanwhile } from "./TypedMeanwhile";

afterEach(cleanup);

test("given a palette that is still being fetched, when letters are typed, then they are kept and reach nothing else", () => {
  let typed = "";
  const elsewhere = vi.fn();
  const onType = (change: (before: string) => string) => {
    typed = change(typed);
  };
  document.body.addEventListener("keydown", elsewhere);
  render(<TypedMeanwhile onType={onType} onClose={() => undefined} />);
  for (const key of ["w", "a", "k", "Backspace", "l", "k", "Shift"]) fireEvent.keyDown(document.body, { key });
  document.body.removeEventListener("keydown", elsewhere);
  expect(typed).toBe("walk");
  expect(elsewhere).toHaveBeenCalledTimes(1);
});
