// Sets the theme before anything is painted: the page's content security policy allows no script within the document itself.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = "";
    try {
      chosen = localStorage.getItem("tabrl.theme") || "";
    } catch {
      // Without storage the system decides.
    }
    const fixed = chosen === "light" || chosen === "dark";
    document.documentElement.dataset.theme = fixed ? chosen : dark.matches ? "dark" : "light";
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  // The page's own switch tells of a choice by this event.
  addEventListener("tabrl-theme", apply);
})();
