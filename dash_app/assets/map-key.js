// The map in words: what hovering says, the legend, and the same figures as a table.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId } = t;

  const units = (value) => t.count(value) + " " + text("unit_gpu");
  const ratio = (place) => text("map_legend") + " " + t.percent(place.pressure);

  function pastLines(place, pools) {
    if (!t.isKnown(place.capacity)) return ["? " + text("timeline_none")];
    return [
      text("capacity") + " " + units(place.capacity), text("allocated") + " " + t.count(place.allocated) + " · " + text("queued") + " " + t.count(place.queued),
      ratio(place), text("hourly_mean"), ...(place.known < pools ? [text("known_of", { n: place.known, all: pools })] : []),
    ];
  }

  function aheadLines(place) {
    const run = place.at.forecast;
    if (!run) return ["? " + text("timeline_no_run")];
    return [
      text("forecast_median") + " " + units(place.demand), text("usable") + " " + units(place.capacity), ratio(place),
      ...(t.isKnown(place.upper) ? [text("upper_90") + " " + units(place.upper)] : []),
      ...(place.isOver ? ["<b>" + text("upper_90_over") + "</b>"] : []),
      text("issued", { time: t.dateTime(Date.parse(run.issued_at)).slice(5) }) + " · " + t.timeline.modelName(run),
      ...(place.fallback ? ["▲ " + text("fallback", { reason: t.forecast.fallbackWords(place.fallback) })] : []),
    ];
  }

  function hoverLines(place, title) {
    const lines = ["<b>" + title + "</b>"];
    const n = Array.isArray(place.pools) ? place.pools.length : place.pools;
    if (!n) return lines.concat(text("legend_none")).join("<br>");
    if (place.at) return lines.concat(place.at.isPast ? pastLines(place, n) : aheadLines(place)).join("<br>");
    lines.push(text("capacity") + " " + t.count(place.capacity) + " " + text("unit_gpu") + " · " + t.counted("pools_n", n));
    lines.push(text("allocated") + " " + t.count(place.allocated) + " · " + text("queued") + " " + t.count(place.queued));
    lines.push(text("map_legend") + " " + t.percent(place.pressure));
    if (t.isKnown(place.carbon)) lines.push("CO₂ " + t.count(place.carbon) + " g/kWh");
    lines.push(text("quality_" + place.quality) + (t.isKnown(place.age_s) ? " · " + t.age(place.age_s) : ""));
    return lines.join("<br>");
  }

  function legendMarks(at) {
    const item = (kind, key) => element("li", {}, kind ? element("i", { class: "swatch swatch-" + kind }) : "", kind ? " " : "", text(key));
    const marks = [item("none", "legend_none")];
    if (!at) marks.push(item("stale", "legend_stale"));
    if (at && at.isPast) marks.push(item("partly", "legend_partly"));
    marks.push(item("unknown", "legend_unknown"));
    if (at && !at.isPast) marks.push(item("forecast", "legend_forecast"), item("over", "legend_over"));
    return marks.concat(item("", "legend_area"), item("", "legend_hub"));
  }

  function drawLegend(at, scale) {
    t.fill(byId("map-legend"), t.state.theme + (at ? at.isPast : ""), () => {
      const stops = scale.map(([at, color]) => color + " " + (at * 100).toFixed(0) + "%").join(", ");
      const bar = element("div", { class: "legend-bar" });
      bar.style.background = "linear-gradient(to right, " + stops + ")";
      const flow = (state) => element("li", {}, element("i", { class: "flow-key flow-" + state.toLowerCase() }), " ", text("flow_" + state));
      return [
        element("div", { class: "legend-title" }, text("map_legend")), bar,
        element("div", { class: "legend-ticks" }, ["0", "50", "100", "150 %"].map((n) => element("span", {}, n))),
        element("ul", {}, legendMarks(at)),
        at ? "" : element("ul", { class: "flow-keys" }, element("li", {}, text("flows")), ["DRAFT", "PROPOSED", "APPROVED", "RUNNING"].map(flow)),
      ];
    });
  }

  // The table's columns: a word for the head, and what stands in the row.
  const LIVE_COLUMNS = [
    ["capacity", (r) => t.count(r.capacity)], ["allocated", (r) => t.count(r.allocated)], ["queued", (r) => t.count(r.queued)],
    ["headroom", (r) => t.count(r.headroom)], ["utilization", (r) => t.percent(r.utilization)], ["quality", (r) => t.quality(r.quality, r.age_s)],
  ];
  const PAST_COLUMNS = [
    ...LIVE_COLUMNS.slice(0, 3), ["map_legend", (r) => t.percent(r.pressure)],
    ["hourly_mean", (r) => (r.known === null || !t.isKnown(r.capacity) ? t.UNKNOWN : text("known_of", { n: r.known, all: r.pools }))],
  ];
  const AHEAD_COLUMNS = [
    ["usable", (r) => t.count(r.capacity)], ["forecast_median", (r) => t.count(r.demand)], ["map_legend", (r) => t.percent(r.pressure)],
    ["upper_90", (r) => (r.isOver ? "▲ " : "") + t.count(r.upper)],
  ];

  // The same figures as the map, for those who cannot see it or want to sort it out by reading.
  function drawTable(frame, choose) {
    const box = byId("region-table");
    if (!box || !box.closest("details").open) return;
    const regions = frame.regions.filter((region) => region.pools);
    const columns = frame.at ? (frame.at.isPast ? PAST_COLUMNS : AHEAD_COLUMNS) : LIVE_COLUMNS;
    t.fill(box, JSON.stringify([frame.at, regions.map((r) => [r.code, r.capacity, r.allocated, r.queued, r.demand, r.upper, r.quality, Math.round(r.age_s / 60)])]), () =>
      element("table", {},
        element("caption", {}, text("map_caption")),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, text("region")), columns.map(([key]) => element("th", { scope: "col" }, text(key))))),
        element("tbody", {}, regions.map((r) => element("tr", {},
          element("th", { scope: "row" }, element("button", { type: "button", class: "link", id: "row-" + r.code, on: { click: () => choose(r.code) } }, t.name(r))),
          columns.map(([, cell]) => element("td", {}, cell(r))))))));
  }

  t.mapKey = { hoverLines, drawLegend, drawTable };
})();
