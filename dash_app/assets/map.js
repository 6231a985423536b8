// Turns a frame into the map's figure: provinces by utilization, sites by capacity, moves as arrows.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, config } = t;
  const { hoverLines } = t.mapKey;

  // Demand may exceed capacity: the scale goes on to 150 %. Lightness changes along with hue.
  const INK = {
    dark: {
      scale: [[0, "#16344a"], [0.33, "#1d5c78"], [0.53, "#3f8f96"], [0.6, "#8fb08a"], [0.667, "#e2bd62"], [0.8, "#e58a45"], [1, "#d9534a"]],
      none: "#1a222c", border: "#3a4755", selected: "#ffffff", label: "#dfe8f0", halo: "#0b1118", unknown: "#39424d", stale: "#2c3742",
      ring: "#dfe8f0", siteEdge: "#0b1118",
      over: "#f2b84b", flow: { DRAFT: "#8f9daa", PROPOSED: "#b9a7ff", APPROVED: "#7fd8ff", RUNNING: "#ffffff" }, hover: "#0e1620", hoverText: "#e8eff6",
    },
    light: {
      scale: [[0, "#d5e6ee"], [0.33, "#9cc8d8"], [0.53, "#62a7b5"], [0.6, "#a8b57c"], [0.667, "#e0b54a"], [0.8, "#d9762f"], [1, "#b8342f"]],
      none: "#e6ebef", border: "#aebac5", selected: "#0b1a27", label: "#16222d", halo: "#ffffff", unknown: "#c9d0d7", stale: "#d6dde3",
      ring: "#16222d", siteEdge: "#ffffff",
      over: "#a84a00", flow: { DRAFT: "#7a8894", PROPOSED: "#6a49c9", APPROVED: "#0b6fae", RUNNING: "#0d1822" }, hover: "#ffffff", hoverText: "#16222d",
    },
  };
  const MOST = 1.5;
  const DASH = { DRAFT: "2px,4px", PROPOSED: "6px,5px", APPROVED: "14px,4px", RUNNING: "solid" };
  const BIGGEST_PX = 32;

  function regionKind(region) {
    if (!region.pools) return "none";
    const isWhole = region.quality === "good";
    if (t.isKnown(region.pressure)) return isWhole ? "known" : "partly";
    return region.quality === "stale" ? "stale" : "unknown";
  }

  function provinces(kind, regions, ink, look) {
    const flat = [[0, ink[look.flat]], [1, ink[look.flat]]];
    return {
      type: "choropleth", geojson: config.urls.map, featureidkey: "properties.code", name: kind,
      locations: regions.map((region) => region.code),
      z: regions.map((region) => (look.flat ? 0 : Math.min(region.pressure, MOST))),
      zmin: 0, zmax: MOST, colorscale: look.flat ? flat : ink.scale, showscale: false,
      marker: { line: { color: look.line || ink.border, width: look.width || 0.7 }, opacity: look.opacity || 1 },
      text: regions.map((region) => hoverLines(region, t.name(region))),
      customdata: regions.map((region) => ["region", region.code]),
      hovertemplate: "%{text}<extra></extra>", meta: kind,
    };
  }

  // Drawn over provinces that have their color already, so it takes no part in hovering.
  function outline(kind, regions, ink, line, width) {
    return {
      ...provinces(kind, regions, ink, { flat: "none", line, width }),
      colorscale: [[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]], hoverinfo: "skip", hovertemplate: null,
    };
  }

  // Plotly's own projection, once it has drawn: circles, labels and arrows are laid out in pixels.
  let projection = null;
  const toPixel = (place) => {
    if (projection) return projection([place.lon, place.lat]);
    return [(place.lon - 73) * 11, (54 - place.lat) * 13.5];
  };
  const toDegrees = (point) => {
    if (projection) return projection.invert(point);
    return [73 + point[0] / 11, 54 - point[1] / 13.5];
  };

  function circleSizes(sites) {
    const most = Math.max(1, ...sites.map((site) => site.capacity || 0));
    return sites.map((site) => Math.max(7, Math.sqrt((site.capacity || 0) / most) * BIGGEST_PX));
  }

  // A bent line from circle edge to circle edge, so that moves both ways stay apart.
  function arc(from, to, fromRadius, toRadius) {
    const [ax, ay] = toPixel(from);
    const [bx, by] = toPixel(to);
    const length = Math.hypot(bx - ax, by - ay) || 1;
    const bend = Math.max(0.2 * length, 16) * 2;
    const middle = [(ax + bx) / 2 + ((by - ay) / length) * bend * 0.7, (ay + by) / 2 - ((bx - ax) / length) * bend * 0.7];
    const at = (s) => [0, 1].map((i) => (1 - s) ** 2 * [ax, ay][i] + 2 * (1 - s) * s * middle[i] + s ** 2 * [bx, by][i]);
    const points = [];
    for (let i = 0; i <= 40; i += 1) points.push(at(i / 40));
    const far = (point, x, y, radius) => Math.hypot(point[0] - x, point[1] - y) > radius;
    const trimmed = points.filter((p) => far(p, ax, ay, fromRadius + 2) && far(p, bx, by, toRadius + 3));
    return (trimmed.length > 2 ? trimmed : points).map(toDegrees);
  }

  // Which way a line points at its end, clockwise from up.
  function heading(points) {
    const [from, to] = points.slice(-3).filter((_, i) => i !== 1).map((p) => toPixel({ lon: p[0], lat: p[1] }));
    return (Math.atan2(to[0] - from[0], from[1] - to[1]) * 180) / Math.PI;
  }

  function flowTraces(frame, ink, sites, sizes) {
    const radius = (site) => sizes[sites.indexOf(site)] / 2 + (site.is_hub ? 3 : 0);
    return frame.flows.flatMap((flow) => {
      const from = sites.find((site) => site.code === flow.from);
      const to = sites.find((site) => site.code === flow.to);
      if (!from || !to) return [];
      const points = arc(from, to, radius(from), radius(to));
      const color = ink.flow[flow.state] || ink.flow.PROPOSED;
      const opacity = flow.state === "DRAFT" ? 0.6 : 0.95;
      const width = Math.min(6, 1.4 + Math.sqrt(flow.units) * 0.42);
      const words = "<b>" + t.name(from) + " → " + t.name(to) + "</b><br>" + flow.units + " " + text("unit_gpu") + " · " +
        text("flow_" + flow.state) + " · #" + flow.plan;
      const line = {
        type: "scattergeo", mode: "lines", lon: points.map((p) => p[0]), lat: points.map((p) => p[1]),
        line: { color, width, dash: DASH[flow.state] || "solid" }, hoverinfo: "skip", opacity,
      };
      const tip = points[points.length - 1];
      const head = {
        type: "scattergeo", mode: "markers", lon: [tip[0]], lat: [tip[1]],
        marker: { symbol: "arrow", angle: heading(points), size: 8 + width * 1.5, color, line: { width: 0 }, opacity },
        text: [words], hovertemplate: "%{text}<extra></extra>",
      };
      return [line, head];
    });
  }

  // Puts each label where it covers the fewest circles and labels; plotly cannot do this itself.
  function labelPoints(sites, sizes) {
    const centers = sites.map(toPixel);
    const taken = centers.map(([x, y], i) => {
      const r = sizes[i] / 2 + (sites[i].is_hub ? 4 : 1);
      return [x - r, y - r, x + r, y + r];
    });
    const overlap = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
    return sites.map((site, i) => {
      const half = (t.name(site).length * (config.lang === "zh" ? 12.5 : 6.4) + 2) / 2;
      const r = sizes[i] / 2 + (site.is_hub ? 6 : 3);
      let best = null;
      for (let ring = 0; ring < 3; ring += 1) {
        for (let turn = 0; turn < 16; turn += 1) {
          const angle = (turn / 16) * 2 * Math.PI;
          const x = centers[i][0] + Math.cos(angle) * (r + half + ring * 9);
          const y = centers[i][1] + Math.sin(angle) * (r + 7 + ring * 9);
          const box = [x - half, y - 7, x + half, y + 7];
          const cost = taken.reduce((sum, other, j) => sum + (j === i ? 0 : overlap(box, other)), turn * 0.4 + ring * 14);
          if (!best || cost < best.cost) best = { cost, box, point: [x, y] };
        }
      }
      taken.push(best.box);
      return toDegrees(best.point);
    });
  }

  function siteTraces(ink, sites, sizes, isAhead) {
    const edge = (site) => (isAhead && site.isOver ? ink.over : isAhead || isDark(site) ? ink.ring : ink.siteEdge);
    const isDark = (site) => !t.isKnown(site.pressure);
    const at = { type: "scattergeo", lon: sites.map((s) => s.lon), lat: sites.map((s) => s.lat) };
    const rings = {
      ...at, mode: "markers", hoverinfo: "skip",
      marker: { size: sizes.map((size, i) => (sites[i].is_hub ? size + 6 : 0)), color: "rgba(0,0,0,0)", line: { color: ink.ring, width: 1.2 } },
    };
    const circles = {
      ...at, mode: "markers",
      marker: {
        size: sizes, opacity: sites.map((site) => (site.quality === "good" || isDark(site) ? 1 : 0.65)),
        color: sites.map((site) => (isDark(site) ? 0 : Math.min(site.pressure, MOST))), cmin: 0, cmax: MOST, colorscale: ink.scale,
        line: { color: sites.map(edge), width: isAhead ? 1.8 : 1.4 },
      },
      text: sites.map((site) => hoverLines(site, t.name(site) + (site.is_hub ? " ◎" : ""))),
      customdata: sites.map((site) => ["site", site.code]), hovertemplate: "%{text}<extra></extra>",
      meta: isAhead ? "circles-forecast" : "circles",
    };
    return [rings, circles];
  }

  function labelTraces(ink, sites, sizes) {
    const points = labelPoints(sites, sizes);
    const words = { type: "scattergeo", mode: "text", hoverinfo: "skip" };
    const unknown = sites.filter((site) => !t.isKnown(site.pressure));
    return [
      { ...words, lon: unknown.map((s) => s.lon), lat: unknown.map((s) => s.lat), text: unknown.map((s) => (s.quality === "stale" ? "◐" : "?")), textfont: { size: 12, color: ink.label } },
      { ...words, lon: points.map((p) => p[0]), lat: points.map((p) => p[1]), text: sites.map(t.name), textfont: { size: config.lang === "zh" ? 12.5 : 11.5, color: ink.label } },
    ];
  }

  // Remembers how plotly has projected; true when that differs from what the figure was laid out for.
  let projected = "";
  function learnProjection(graph) {
    const geo = graph._fullLayout && graph._fullLayout.geo;
    if (!geo || !geo._subplot || !geo._subplot.projection) return false;
    projection = geo._subplot.projection;
    const key = [projection.scale(), ...projection.translate(), ...projection.rotate()].map((n) => Math.round(n * 10)).join();
    const isNew = key !== projected;
    projected = key;
    return isNew;
  }

  function figure(frame, selection, theme) {
    const ink = INK[theme] || INK.dark;
    const sites = [...frame.sites].sort((a, b) => (b.capacity || 0) - (a.capacity || 0));
    const sizes = circleSizes(sites);
    const groups = { none: [], unknown: [], stale: [], partly: [], known: [] };
    for (const region of frame.regions) groups[regionKind(region)].push(region);
    const traces = [
      provinces("none", groups.none, ink, { flat: "none" }),
      provinces("known", groups.known, ink, {}),
      provinces("partly", groups.partly, ink, { opacity: 0.75, line: ink.label, width: 1 }),
      provinces("stale", groups.stale, ink, { flat: "stale", line: ink.label, width: 1 }),
      provinces("unknown", groups.unknown, ink, { flat: "unknown", line: ink.label, width: 1 }),
    ];
    const isAhead = Boolean(frame.at && !frame.at.isPast);
    if (isAhead) {
      const estimated = frame.regions.filter((region) => region.pools && t.isKnown(region.pressure));
      traces.push(outline("forecast", estimated, ink, ink.label, 1));
      traces.push(outline("over", estimated.filter((region) => region.isOver), ink, ink.over, 2.2));
    }
    const chosen = selectedRegion(selection);
    if (chosen) traces.push(outline("selected", [chosen], ink, ink.selected, 2.2));
    return {
      data: traces.concat(siteTraces(ink, sites, sizes, isAhead), flowTraces(frame, ink, sites, sizes), labelTraces(ink, sites, sizes)).map((trace) => ({ showlegend: false, ...trace })),
      layout: {
        geo: {
          projection: { type: "conic equal area", parallels: [25, 47], rotation: { lon: 104 }, scale: 1.05 },
          center: { lon: 104.5, lat: 36.1 },
          lonaxis: { range: [76.5, 131.5], showgrid: false },
          lataxis: { range: [17.5, 53.8], showgrid: false },
          visible: false, bgcolor: "rgba(0,0,0,0)", showframe: false, resolution: 110, scope: "world",
        },
        margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, color: ink.label },
        hoverlabel: { bgcolor: ink.hover, bordercolor: ink.border, align: "left", font: { family: getComputedStyle(document.body).fontFamily, color: ink.hoverText, size: 13 } },
        uirevision: "map", dragmode: "pan",
        modebar: { bgcolor: "rgba(0,0,0,0)", color: ink.border, activecolor: ink.label, orientation: "v" },
      },
    };
  }

  function selectedRegion(selection) {
    if (!selection || selection.scope === "grid") return null;
    if (selection.scope === "region") return t.regionOf(selection.code);
    const site = t.siteOfPool(selection.code);
    return site ? t.regionOf(site.region) : null;
  }

  // What the map shows, in few characters: when this is the same, nothing is drawn again.
  function signature(frame) {
    const place = (p) => [p.code, t.isKnown(p.pressure) ? Math.round(p.pressure * 100) : null, p.quality, p.capacity,
      Math.round(p.allocated), Math.round(p.queued), Math.round(p.upper)].join();
    return JSON.stringify([frame.at, frame.regions.filter((r) => r.pools).map(place), frame.sites.map(place), frame.flows]);
  }

  // Hatches and dashes, which plotly has no attributes for; paths are used again, so both ways.
  const HATCHED = { unknown: "url(#hatch-unknown)", forecast: "url(#hatch-forecast)" };
  const DASHED = ["partly", "stale", "unknown", "forecast"];
  const PASSIVE = ["selected", "forecast", "over"];
  function hatch(graph) {
    const layers = graph.querySelectorAll(".choroplethlayer .trace");
    graph._fullData.filter((trace) => trace.type === "choropleth" && trace.locations.length).forEach((trace, i) => {
      if (!layers[i]) return;
      for (const path of layers[i].querySelectorAll("path")) {
        if (HATCHED[trace.meta]) path.style.fill = HATCHED[trace.meta];
        path.style.strokeDasharray = DASHED.includes(trace.meta) ? "4,3" : "";
        path.style.pointerEvents = PASSIVE.includes(trace.meta) ? "none" : "";
      }
    });
    dashCircles(graph);
  }

  // The edge of a circle that stands for a forecast is dashed.
  function dashCircles(graph) {
    const layers = graph.querySelectorAll(".scatterlayer .trace.scattergeo, g.scattergeo");
    graph._fullData.filter((trace) => trace.type === "scattergeo").forEach((trace, i) => {
      if (!layers[i]) return;
      for (const path of layers[i].querySelectorAll("path.point")) {
        path.style.strokeDasharray = trace.meta === "circles-forecast" ? "3,2" : "";
      }
    });
  }

  const scale = () => INK[t.state.theme].scale;

  t.map = { figure, signature, hatch, learnProjection, scale };
})();
