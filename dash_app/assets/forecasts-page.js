// Drives the Forecasts page: what is chosen, what is read when, and who draws it.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, isKnown } = t;
  const state = { ...JSON.parse(byId("fc-first").textContent), tab: "demand", scope: "grid", code: "grid", zone: "", hours: 48, lead: 0, past: [] };
  let asked = 0;
  let runKey = null;

  async function read(address, query) {
    const response = await fetch("/api/v1/forecasts" + address + (query ? "?" + new URLSearchParams(query) : ""), { credentials: "same-origin", headers: { Accept: "application/json" } });
    const body = await response.json();
    if (!response.ok) throw new Error(body.detail || String(response.status));
    return body;
  }

  const backHours = () => (state.hours > 48 ? 96 : 48);
  const nameOfPlace = () => (state.tab === "demand" ? t.forecastCards.placeName(state.places, state.scope + ":" + state.code) : text("fc_tab_" + state.tab) + " · " + state.zone);

  function view() {
    const forecast = state.series.forecast;
    return {
      history: state.series.history,
      points: ((forecast && forecast.points) || []).slice(0, state.hours),
      declared: ((forecast && forecast.declared) || []).slice(0, state.hours),
      past: state.past,
      unit: state.tab === "demand" ? text("unit_gpu") : state.series.unit || "",
      fromZero: state.tab === "demand",
    };
  }

  // The chance that demand passes a limit, read between the quantiles that are known.
  function chanceAbove(limit, row) {
    const levels = [0.05, 0.1, 0.5, 0.9, 0.95];
    const values = row.slice(1);
    if (limit < values[0]) return 0.95;
    for (let i = 1; i < values.length; i += 1) {
      if (limit < values[i]) return 1 - (levels[i - 1] + (levels[i] - levels[i - 1]) * (limit - values[i - 1]) / (values[i] - values[i - 1]));
    }
    return 0.05;
  }

  function summary() {
    const shown = view();
    if (!shown.points.length) return [text("fc_none")];
    const top = (i) => shown.points.reduce((best, row) => (row[i] > best[i] ? row : best));
    const peak = top(3);
    const upper = top(4);
    if (state.tab !== "demand") return [element("span", {}, nameOfPlace() + " · " + text("fc_energy_stand_in"))];
    const capacity = [...shown.history].reverse().map((row) => row[2]).find(isKnown);
    const first = isKnown(capacity) ? shown.points.find((row) => row[4] > capacity) : null;
    const fallback = state.series.forecast.fallback_reason;
    return [
      text("fc_summary", { name: nameOfPlace(), hours: shown.points.length, peak: t.count(peak[3]), at: t.forecastChart.at(peak[0]).slice(5), upper: t.count(upper[4]), capacity: t.count(capacity) }), " ",
      isKnown(capacity)
        ? element("span", { class: first ? "fc-warn" : "fc-good" }, first ? text("fc_cross", { time: t.forecastChart.at(first[0]).slice(5), chance: t.percent(chanceAbove(capacity, first)) }) : text("fc_no_cross")) : "",
      fallback ? element("span", { class: "fc-warn" }, " ▲ " + text("fallback", { reason: t.config.texts["fallback_" + fallback] || fallback })) : "",
    ];
  }

  function drawChart() {
    byId("fc-chart-title").textContent = text("fc_chart_label", { name: nameOfPlace() });
    t.forecastChart.draw(byId("fc-chart"), view(), t.state.theme);
    t.fill(byId("fc-summary"), JSON.stringify([view(), state.scope, state.code, state.zone]), summary);
  }

  function drawAll() {
    t.fill(byId("fc-declaration"), JSON.stringify(state.run), () => t.forecastCards.declaration(state.run));
    const accuracy = JSON.stringify([state.accuracy, t.state.theme]);
    t.fill(byId("fc-skill"), accuracy, () => t.forecastFigures.skill(state.accuracy));
    t.fill(byId("fc-coverage"), accuracy, () => t.forecastFigures.coverage(state.accuracy));
    t.fill(byId("fc-drift"), accuracy, () => t.forecastFigures.drift(state.accuracy));
    t.fill(byId("fc-aside"), JSON.stringify(state.run && state.run.set_aside), () => t.forecastCards.aside(state.run, state.places));
    t.fill(byId("fc-fallbacks"), JSON.stringify(state.run && state.run.fallbacks), () => t.forecastCards.fallbacks(state.run, state.places));
    t.fill(byId("fc-model"), accuracy + JSON.stringify(state.run), () => t.forecastCards.modelCard(state.accuracy, state.run));
    t.fill(byId("fc-registry"), JSON.stringify(state.models), () => t.forecastCards.registry(state.models));
    t.forecastAnnounce.draw(state.declarations, state.places, state.may_announce, refreshAnnounced);
    drawChart();
  }

  async function readSeries() {
    const turn = ++asked;
    const hours = state.hours;
    try {
      const query = state.tab === "demand"
        ? { scope: state.scope, code: state.code, hours, history_h: backHours() }
        : { scope: state.tab, code: state.zone, hours, history_h: backHours() };
      const series = await read(state.tab === "demand" ? "/series" : "/energy", query);
      const past = state.tab === "demand" && state.lead
        ? (await read("/past", { scope: state.scope, code: state.code, lead_h: state.lead, days: backHours() / 24 })).points : [];
      if (turn !== asked) return;
      state.series = series;
      state.past = past;
      drawChart();
    } catch (error) {
      if (turn === asked) t.fill(byId("fc-summary"), "failed" + turn, () => element("span", { class: "bad" }, "✕ " + text("fc_failed", { reason: error.message })));
    }
  }

  async function refreshAnnounced() {
    const response = await fetch("/api/v1/demand-declarations", { credentials: "same-origin", headers: { Accept: "application/json" } });
    if (response.ok) state.declarations = (await response.json()).declarations;
    drawAll();
  }

  async function refreshAll() {
    try {
      const [runs, accuracy, models] = await Promise.all([read("/runs"), read("/accuracy"), read("/models")]);
      state.run = runs.runs[0] || null;
      state.accuracy = accuracy;
      state.models = models.models.slice(0, 8);
    } catch (error) {
      return;
    }
    await refreshAnnounced();
    await readSeries();
  }

  function choice(id, label, options, chosen, choose) {
    return element("label", { class: "fc-choice" }, element("span", {}, label),
      element("select", { id, on: { change: (event) => choose(event.target.value) } },
        options.map((entry) => (entry.group
          ? element("optgroup", { label: entry.group }, entry.options.map(([value, words]) => element("option", { value, selected: value === chosen }, words)))
          : element("option", { value: entry[0], selected: String(entry[0]) === String(chosen) }, entry[1])))));
  }

  const group = (scope, words) => ({ group: words, options: state.places[scope].map((place) => [scope + "|" + place.code, t.name(place)]) });

  function drawChoices() {
    const ahead = choice("fc-hours", text("fc_ahead"), [[24, text("fc_day")], [48, text("fc_two_days")], [168, text("fc_week")]], state.hours, (value) => { state.hours = Number(value); readSeries(); });
    const places = [["grid|grid", text("whole_grid")], group("region", text("regions")), ...(state.places.site.length ? [group("site", text("fc_sites"))] : []), group("pool", text("pools"))];
    const zones = state.zones.filter((zone) => zone.scope === state.tab).map((zone) => [zone.code, zone.code]);
    const which = state.tab === "demand"
      ? choice("fc-place", text("fc_series"), places, state.scope + "|" + state.code, (value) => { [state.scope, state.code] = value.split("|"); readSeries(); })
      : choice("fc-zone", text("fc_zone"), zones, state.zone, (value) => { state.zone = value; readSeries(); });
    const back = state.tab === "demand"
      ? [choice("fc-lead", text("fc_back"), [[0, text("fc_back_off")], ...[1, 6, 12, 24].map((n) => [n, text("fc_back_h", { n })])], state.lead, (value) => { state.lead = Number(value); readSeries(); })] : [];
    byId("fc-choices").replaceChildren(which, ahead, ...back);
  }

  function openTab(tab) {
    state.tab = tab;
    for (const button of document.querySelectorAll(".fc-tabs [role=tab]")) {
      const isHere = button.dataset.tab === tab;
      button.setAttribute("aria-selected", String(isHere));
      button.tabIndex = isHere ? 0 : -1;
      if (isHere) byId("fc-panel").setAttribute("aria-labelledby", button.id);
    }
    const zones = state.zones.filter((zone) => zone.scope === tab);
    state.zone = zones.length ? zones[0].code : "";
    drawChoices();
    readSeries();
  }

  document.querySelector(".fc-tabs").addEventListener("click", (event) => {
    if (event.target.dataset.tab) openTab(event.target.dataset.tab);
  });
  document.querySelector(".fc-tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...document.querySelectorAll(".fc-tabs [role=tab]")];
    const next = tabs[(tabs.findIndex((tab) => tab.dataset.tab === state.tab) + step + tabs.length) % tabs.length];
    openTab(next.dataset.tab);
    next.focus();
  });

  let themeKey = t.state.theme;
  t.onFrame((frame) => {
    const run = frame.forecast && frame.forecast.run_id;
    const hour = run ? run + (frame.grid_now || "").slice(0, 13) : null;
    if (hour && runKey && hour !== runKey) refreshAll();
    if (hour) runKey = hour;
    if (t.state.theme !== themeKey) {
      themeKey = t.state.theme;
      drawAll();
    }
  });
  drawChoices();
  drawAll();
  window.addEventListener("load", drawChart);
})();
