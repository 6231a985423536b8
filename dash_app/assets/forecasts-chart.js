// The large chart of the Forecasts page: truth, bands ahead, what was said before, what is announced.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text } = t;
  const INK = {
    dark: { truth: "#e8eff6", median: "#58c4dd", band90: "rgba(88,196,221,0.12)", band80: "rgba(88,196,221,0.22)", past: "#b9a7ff", pastBand: "rgba(185,167,255,0.16)", announced: "rgba(242,184,75,0.55)", capacity: "#93a4b3", grid: "#1c2631", label: "#a9b8c6", now: "#5a6a79", hover: "#0e1620", hoverText: "#e8eff6" },
    light: { truth: "#16222d", median: "#0b7a96", band90: "rgba(11,122,150,0.10)", band80: "rgba(11,122,150,0.19)", past: "#6a49c9", pastBand: "rgba(106,73,201,0.13)", announced: "rgba(168,100,0,0.45)", capacity: "#5a6a79", grid: "#e3e9ee", label: "#4a5966", now: "#9aa7b3", hover: "#ffffff", hoverText: "#16222d" },
  };
  const at = (iso) => t.dateTime(Date.parse(iso));
  const column = (rows, i) => rows.map((row) => row[i]);

  function line(x, y, look) {
    return { type: "scatter", mode: "lines", x, y, hoverinfo: "skip", showlegend: false, connectgaps: false, ...look };
  }

  // Lower edge, then the upper edge filled down to it.
  function band(rows, low, high, colour, name) {
    const x = rows.map((row) => at(row[0]));
    return [
      line(x, column(rows, low), { line: { width: 0 } }),
      line(x, column(rows, high), { line: { width: 0 }, fill: "tonexty", fillcolor: colour, name, showlegend: true }),
    ];
  }

  function pastTraces(past, ink) {
    if (!past || !past.length) return [];
    return [
      ...band(past, 2, 4, ink.pastBand, text("fc_past_band")),
      line(past.map((row) => at(row[0])), column(past, 3), {
        line: { color: ink.past, width: 1.5, dash: "5px,3px" }, name: text("fc_past_median"), showlegend: true, hoverinfo: "y+name" }),
    ];
  }

  function announcedTrace(points, declared, ink) {
    if (!declared || !declared.some((units) => units > 0.005)) return [];
    return [line(points.map((row) => at(row[0])), declared.map((units) => Math.max(0, units)), {
      line: { color: ink.announced, width: 1, shape: "hv" }, fill: "tozeroy", fillcolor: ink.announced,
      name: text("fc_announced"), showlegend: true, hoverinfo: "y+name" })];
  }

  function traces(view, ink) {
    const history = view.history || [];
    const points = view.points || [];
    const past = history.map((row) => at(row[0]));
    const ahead = points.map((row) => at(row[0]));
    const shown = (name) => ({ name, showlegend: true, hoverinfo: "y+name" });
    const capacity = column(history, 2);
    const last = [...capacity].reverse().find(t.isKnown);
    const reach = t.isKnown(last) && ahead.length ? [ahead[ahead.length - 1]] : [];
    const sized = t.isKnown(last)
      ? [line(past.concat(reach), capacity.concat(reach.map(() => last)), { line: { color: ink.capacity, width: 1.2, dash: "2px,3px", shape: "hv" }, ...shown(text("capacity")) })]
      : [];
    return [
      ...pastTraces(view.past, ink),
      ...band(points, 1, 5, ink.band90, text("fc_band_90")),
      ...band(points, 2, 4, ink.band80, text("fc_band_80")),
      ...announcedTrace(points, view.declared, ink),
      ...sized,
      line(ahead, column(points, 3), { line: { color: ink.median, width: 2.2 }, ...shown(text("median")) }),
      line(past, column(history, 1), { line: { color: ink.truth, width: 2 }, ...shown(text(view.fromZero ? "measured" : "fc_history")) }),
    ];
  }

  function figure(view, theme) {
    const ink = INK[theme] || INK.dark;
    const now = t.dateTime(t.gridNow());
    return {
      data: traces(view, ink),
      layout: {
        margin: { l: 54, r: 14, t: 8, b: 38 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink.label },
        xaxis: { type: "date", gridcolor: ink.grid, zeroline: false, tickformat: "%H:%M\n%m-%d", nticks: 14, fixedrange: true },
        yaxis: { gridcolor: ink.grid, zeroline: false, rangemode: view.fromZero ? "tozero" : "normal", fixedrange: true, title: { text: view.unit, standoff: 6 } },
        legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { size: 11.5 }, itemclick: false, itemdoubleclick: false },
        hovermode: "x unified", hoverlabel: { bgcolor: ink.hover, bordercolor: ink.grid, font: { color: ink.hoverText, size: 12 } },
        shapes: [{ type: "line", x0: now, x1: now, yref: "paper", y0: 0, y1: 1, line: { color: ink.now, width: 1 } }],
        annotations: [{ x: now, yref: "paper", y: 0, yanchor: "bottom", xanchor: "left", text: " " + text("now"), showarrow: false, font: { size: 11, color: ink.label } }],
      },
      config: { displayModeBar: false, showSendToCloud: false, plotlyServerURL: "", responsive: true, scrollZoom: false },
    };
  }

  function draw(box, view, theme) {
    if (!window.Plotly || !box) return;
    const made = figure(view, theme);
    window.Plotly.react(box, made.data, made.layout, made.config);
  }

  t.forecastChart = { draw, at };
})();
