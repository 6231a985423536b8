// What surrounds every page: grid clock, system strip, theme switch.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId } = t;

  function drawClock() {
    const clock = byId("grid-clock");
    const rate = t.rate();
    clock.querySelector("time").textContent = t.dateTime(t.gridNow()) + " CST";
    clock.querySelector(".clock-rate").textContent = rate === 1 ? "" : "· " + rate + "×";
  }

  function child(entry) {
    const state = "child-" + (entry.state === "ready" && entry.restarts ? "restarted" : entry.state);
    const mark = { waiting: "◌", ready: "●", starting: "◔", "backing-off": "▲", stopped: "■" }[entry.state] || "?";
    return element("li", { class: state },
      element("i", { "aria-hidden": "true" }, mark), " ", entry.name.replace("provider-", ""), " ",
      element("small", {}, text("child_" + entry.state),
        entry.restarts ? " · " + t.counted("restarts", entry.restarts) : ""));
  }

  function drawSystem(frame) {
    const children = (frame.system && frame.system.children) || [];
    t.fill(byId("system-strip"), JSON.stringify(children), () => [
      // people of a provider are not shown the grid's own parts
      t.config.viewer.provider ? "" : element("b", {}, text("system_title")),
      children.length ? element("ul", {}, children.map(child))
        : t.config.viewer.provider ? "" : element("span", { class: "muted" }, text("system_unknown")),
      element("span", { class: "source" }, text("data_source")),
    ]);
  }

  function showTheme() {
    document.documentElement.dataset.theme = t.state.theme;
    byId("theme-switch").textContent = text(t.state.theme === "dark" ? "theme_light" : "theme_dark");
  }

  byId("theme-switch").addEventListener("click", () => {
    t.state.theme = t.state.theme === "dark" ? "light" : "dark";
    document.cookie = "tiaodu_theme=" + t.state.theme + ";path=/;max-age=31536000;samesite=lax";
    showTheme();
    t.redraw();
  });

  showTheme();
  t.onFrame(drawSystem);
  drawSystem(t.state.frame);
  drawClock();
  setInterval(() => { if (!document.hidden) drawClock(); }, 500);
})();
