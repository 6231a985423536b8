// Joins our frames to Dash: writes the stores that its callbacks wait for, and draws both figures.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { byId } = t;
  let selection = { scope: "grid", code: "grid" };
  let mapKey = "";
  let runKey = null;
  let themeKey = t.state.theme;
  let layouts = 0;
  let layoutTimer = 0;
  const watched = new WeakSet();

  const dash = () => window.dash_clientside;
  const skip = () => dash().no_update;
  const isUp = () => Boolean(dash() && dash().set_props && byId("grid-page") && byId("map"));

  function choose(next) {
    if (isUp()) dash().set_props("selection", { data: next });
  }

  // A click on a region or a one-pool site selects it; the same again goes back to the whole grid.
  function picked(click, current) {
    const point = click && click.points && click.points.find((p) => p.customdata);
    if (!point) return null;
    const [kind, code] = point.customdata;
    const site = kind === "site" && t.siteOf(code);
    const next = site && site.pools.length === 1 ? { scope: "pool", code: site.pools[0].code }
      : { scope: "region", code: site ? site.region : code };
    const region = t.regionOf(next.scope === "region" ? next.code : site.region);
    if (!region || !region.pools) return { scope: "grid", code: "grid" };
    const isSame = current && current.scope === next.scope && current.code === next.code;
    return isSame ? { scope: "grid", code: "grid" } : next;
  }

  // Labels and arrows are laid out for one projection: after a zoom or a new size, lay out again.
  function plotted(graph) {
    t.map.hatch(graph);
    if (!t.map.learnProjection(graph)) return;
    layouts += 1;
    clearTimeout(layoutTimer);
    layoutTimer = setTimeout(() => dash().set_props("map-state", { data: mapKey + layouts }), 40);
  }

  function watchMap() {
    const graph = document.querySelector("#map .js-plotly-plot");
    if (!graph || !graph.on || watched.has(graph)) return;
    watched.add(graph);
    graph.on("plotly_afterplot", () => plotted(graph));
    plotted(graph);
  }

  function toDash(frame) {
    if (!isUp()) return;
    const view = t.timeline.view(frame);
    t.mapKey.drawLegend(view.at, t.map.scale());
    t.mapKey.drawTable(view, (code) => choose({ scope: "region", code }));
    t.forecast.drawChooser(frame, selection, choose);
    watchMap();
    const key = t.map.signature(view);
    if (key !== mapKey) {
      mapKey = key;
      dash().set_props("map-state", { data: key + layouts });
    }
    const run = (frame.forecast && frame.forecast.run_id) || "none";
    // measured history grows by the hour, so the series is read anew then even without a new run
    const hour = run + frame.grid_now.slice(0, 13);
    if (hour !== runKey) {
      runKey = hour;
      dash().set_props("forecast-run", { data: hour });
    }
    if (t.state.theme !== themeKey) {
      themeKey = t.state.theme;
      dash().set_props("theme", { data: themeKey });
    }
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.tiaodu = {
    drawMap: (key, chosen) => {
      selection = chosen || selection;
      setTimeout(watchMap, 0);
      return t.map.figure(t.timeline.view(t.state.frame), selection, t.state.theme);
    },
    selectFromMap: (click, current) => picked(click, current) || skip(),
    fetchSeries: async (chosen, run) => {
      if (!run) return skip();
      const series = await t.forecast.fetchSeries(chosen);
      return series === null ? skip() : series;
    },
    drawForecast: (series) => {
      t.forecast.drawNote(series);
      return t.forecast.figure(series, t.state.theme);
    },
  };

  t.onFrame(toDash);
  // the first frame came with the page; draw it as soon as Dash has made room for it
  const waitForDash = setInterval(() => {
    if (!isUp()) return;
    clearInterval(waitForDash);
    byId("region-table").closest("details").addEventListener("toggle", () => t.redraw());
    t.redraw();
  }, 60);
})();
