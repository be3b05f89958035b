// @vitest-environment jsdom
import { cleanup, fireEvent, render } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { TypedMeanwhile } from "./TypedMeanwhile";

afterEach(cleanup);

test("given a palette that is still being fetched, when letters are typed, then they are kept and reach nothing else", () => {
  const typed = { current: "" };
  const elsewhere = vi.fn();
  document.body.addEventListener("keydown", elsewhere);
  render(<TypedMeanwhile typed={typed} onClose={() => undefined} />);
  for (const key of ["w", "a", "k", "Backspace", "l", "k", "Shift"]) fireEvent.keyDown(document.body, { key });
  document.body.removeEventListener("keydown", elsewhere);
  expect(typed.current).toBe("walk");
  expect(elsewhere).toHaveBeenCalledTimes(1);
});
