// The forecast panel: what is chosen, its last 24 h and the next 24 h with their uncertainty.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config } = t;
  const INK = {
    dark: { measured: "#e8eff6", median: "#58c4dd", band: "rgba(88,196,221,0.22)", upper: "#f2b84b", capacity: "#93a4b3", grid: "#1c2631", label: "#a9b8c6", now: "#5a6a79", hover: "#0e1620", hoverText: "#e8eff6" },
    light: { measured: "#16222d", median: "#0b7a96", band: "rgba(11,122,150,0.16)", upper: "#a86400", capacity: "#5a6a79", grid: "#e3e9ee", label: "#4a5966", now: "#9aa7b3", hover: "#ffffff", hoverText: "#16222d" },
  };
  const AHEAD_H = 24;
  let running = null;

  const local = (iso) => t.dateTime(Date.parse(iso));

  async function fetchSeries(selection) {
    if (running) running.abort();
    running = new AbortController();
    const address = config.urls.series + "?" + new URLSearchParams(selection);
    try {
      const response = await fetch(address, { credentials: "same-origin", signal: running.signal, headers: { Accept: "application/json" } });
      const body = await response.json();
      if (!response.ok) return { problem: body.detail || String(response.status) };
      return body;
    } catch (error) {
      if (error.name === "AbortError") return null;
      return { problem: text("action_failed") };
    }
  }

  function line(x, y, look) {
    return { type: "scatter", mode: "lines", x, y, hoverinfo: "skip", showlegend: false, ...look };
  }

  function traces(series, ink) {
    const history = series.history || [];
    // a point is [time, q05, q10, q50, q90, q95], the hour that begins at that time
    const points = ((series.forecast && series.forecast.points) || []).slice(0, AHEAD_H);
    const past = history.map((row) => local(row[0]));
    const ahead = points.map((row) => local(row[0]));
    const column = (i) => points.map((row) => row[i]);
    const capacity = history.map((row) => row[2]);
    const lastCapacity = [...capacity].reverse().find(t.isKnown);
    const extended = t.isKnown(lastCapacity) && ahead.length ? [ahead[ahead.length - 1]] : [];
    const shown = (name) => ({ name, showlegend: true, hoverinfo: "y+name" });
    return [
      line(ahead, column(2), { line: { width: 0 } }),
      line(ahead, column(4), { line: { width: 0 }, fill: "tonexty", fillcolor: ink.band, name: text("band"), showlegend: true }),
      line(past.concat(extended), capacity.concat(extended.length ? [lastCapacity] : []), {
        line: { color: ink.capacity, width: 1.2, dash: "2px,3px", shape: "hv" }, ...shown(text("capacity")) }),
      line(ahead, column(5), { line: { color: ink.upper, width: 1.3, dash: "6px,3px" }, ...shown(text("upper")) }),
      line(ahead, column(3), { line: { color: ink.median, width: 2 }, ...shown(text("median")) }),
      line(past, history.map((row) => row[1]), { line: { color: ink.measured, width: 2 }, connectgaps: false, ...shown(text("measured")) }),
    ];
  }

  function figure(series, theme) {
    const ink = INK[theme] || INK.dark;
    const now = t.dateTime(t.gridNow());
    return {
      data: traces(series || {}, ink),
      layout: {
        margin: { l: 46, r: 12, t: 6, b: 36 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, size: 11.5, color: ink.label },
        xaxis: { type: "date", gridcolor: ink.grid, zeroline: false, tickformat: "%H:%M\n%m-%d", nticks: 8, fixedrange: true },
        yaxis: { gridcolor: ink.grid, zeroline: false, rangemode: "tozero", fixedrange: true, title: { text: text("unit_gpu"), standoff: 4 } },
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 }, itemclick: false, itemdoubleclick: false },
        hovermode: "x unified", hoverlabel: { bgcolor: ink.hover, bordercolor: ink.grid, font: { color: ink.hoverText, size: 12 } },
        shapes: [{ type: "line", x0: now, x1: now, yref: "paper", y0: 0, y1: 1, line: { color: ink.now, width: 1 } }],
        annotations: [{ x: now, yref: "paper", y: 0, yanchor: "bottom", xanchor: "left", text: " " + text("now"), showarrow: false, font: { size: 10.5, color: ink.label } }],
        uirevision: "forecast",
      },
    };
  }

  // Reasons are codes, alone or in a list with counts; each one known is said in words.
  const inWords = (reason) => reason.replace(/[a-z]+(?:-[a-z]+)*/g, (code) => config.texts["fallback_" + code] || code);

  function drawNote(series) {
    const box = byId("forecast-note");
    if (!box) return;
    const forecast = series && series.forecast;
    t.fill(box, JSON.stringify([series && series.problem, forecast && [forecast.issued_at, forecast.model, forecast.fallback_reason, forecast.degraded_reason]]), () => {
      if (!series) return text("loading");
      if (series.problem) return element("span", { class: "bad" }, "✕ " + text("series_failed", { reason: series.problem }));
      if (!forecast) return text("no_forecast");
      const fallback = forecast.fallback_reason || forecast.degraded_reason;
      const model = [forecast.model, (forecast.version || "").slice(0, 10)].filter(Boolean).join(" ");
      return [
        element("span", {}, text("model", { name: model })), " · ",
        element("span", {}, text("issued", { time: t.dateTime(Date.parse(forecast.issued_at)) + " CST" })),
        fallback ? element("span", { class: "fallback" }, " ▲ " + text("fallback", { reason: inWords(fallback) })) : "",
      ];
    });
  }

  function drawChooser(frame, selection, choose) {
    const box = byId("scope-chooser");
    if (!box) return;
    const regions = frame.regions.filter((region) => region.pools);
    const pools = frame.sites.flatMap((site) => site.pools.map((pool) => [pool.code, t.name(site) + (site.pools.length > 1 ? " · " + pool.code : "")]));
    t.fill(box, regions.map((r) => r.code).join() + pools.join(), () => {
      const select = element("select", { id: "scope-select", on: { change: (event) => {
        const [scope, code] = event.target.value.split("|");
        choose({ scope, code });
      } } },
      element("option", { value: "grid|grid" }, text("whole_grid")),
      element("optgroup", { label: text("regions") }, regions.map((r) => element("option", { value: "region|" + r.code }, t.name(r)))),
      element("optgroup", { label: text("pools") }, pools.map(([code, label]) => element("option", { value: "pool|" + code }, label))));
      return [element("label", { for: "scope-select", class: "hidden" }, text("show")), select];
    });
    const value = selection.scope + "|" + selection.code;
    if (byId("scope-select").value !== value) byId("scope-select").value = value;
  }

  t.forecast = { fetchSeries, figure, drawNote, drawChooser, fallbackWords: inWords };
})();
