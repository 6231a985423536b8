// The time slider: which hour the map shows, from a day ago to a day ahead; 0 is live.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config } = t;
  const REACH_H = 24;
  const HOUR_MS = 3600000;
  const STEP_MS = 900;
  // What is shown never changes under the viewer: leaving live keeps the hours as they were read.
  const state = { position: 0, hours: null, key: "", problem: "", isReading: false, timer: 0 };

  const isLive = () => state.position === 0 || !state.hours;
  // before 0 the hours that are over, after 0 the present hour and those to come
  const indexOf = (position) => (position < 0 ? position + REACH_H : position + REACH_H - 1);
  const keyOf = (frame) => ((frame.forecast && frame.forecast.run_id) || 0) + "|" + frame.grid_now.slice(0, 13);
  const dayHour = (moment) => t.dateTime(moment).slice(5);

  const modelName = (run) => run.model.slice(0, 24);

  function words(start) {
    return dayHour(start) + "–" + t.clockTime(start + HOUR_MS);
  }

  function past(place, row, pools) {
    if (!row) return { capacity: null, allocated: null, queued: null, quality: "unknown" };
    const [allocated, queued, capacity, known] = row;
    return { capacity, allocated, queued, known, demand: allocated + queued, quality: known < pools ? "suspect" : "good" };
  }

  function ahead(row, usable) {
    const isKnown = row && t.isKnown(usable);
    return {
      capacity: usable, allocated: null, queued: null, demand: row ? row[0] : null, upper: row ? row[1] : null,
      quality: isKnown ? "good" : "unknown", isOver: Boolean(isKnown && t.isKnown(row[1]) && row[1] > usable),
    };
  }

  // A region or site as it was or may be at the hour shown.
  function placeAt(place, hours, at) {
    if (!hours) return place;
    const figures = at.isPast ? past(place, hours.past[at.index], hours.pools) : ahead(hours.ahead[at.index - REACH_H], hours.usable);
    const isWhole = t.isKnown(figures.demand) && figures.capacity > 0;
    return {
      ...place, headroom: null, carbon: null, age_s: null, known: null, fallback: at.isPast ? null : hours.fallback, ...figures,
      utilization: at.isPast && figures.capacity > 0 ? figures.allocated / figures.capacity : null,
      pressure: isWhole ? figures.demand / figures.capacity : null, at,
    };
  }

  // The frame that the map draws: the live one, or the same places at the hour of the slider.
  function view(frame) {
    if (isLive()) return frame;
    const index = indexOf(state.position);
    const at = { index, start: Date.parse(state.hours.hours[index]), isPast: state.position < 0, forecast: state.hours.forecast };
    return {
      ...frame, at, flows: [],
      regions: frame.regions.map((region) => placeAt(region, state.hours.regions[region.code], at)),
      sites: frame.sites.map((site) => placeAt(site, state.hours.sites[site.code], at)),
    };
  }

  async function read() {
    const key = keyOf(t.state.frame);
    if (state.isReading || (state.hours && state.key === key)) return;
    state.isReading = true;
    try {
      const response = await fetch(config.urls.timeline, { credentials: "same-origin", headers: { Accept: "application/json" } });
      const body = await response.json();
      if (!response.ok) throw new Error(body.detail || String(response.status));
      state.hours = body;
      state.key = key;
      state.problem = "";
    } catch (error) {
      // once away from live, the hours that are there stay; without any there is nothing to show
      if (!state.hours) state.problem = error.message;
    }
    state.isReading = false;
    t.redraw();
  }

  function pause() {
    clearInterval(state.timer);
    state.timer = 0;
  }

  function show(position) {
    const wasLive = state.position === 0;
    state.position = Math.max(-REACH_H, Math.min(REACH_H, position));
    state.problem = "";
    if (wasLive && state.position !== 0) {
      if (state.key !== keyOf(t.state.frame)) state.hours = null;
      read();
    }
    t.redraw();
  }

  function step() {
    if (!state.hours) return; // they are being read
    if (state.position >= REACH_H) {
      pause();
      t.redraw();
    } else show(state.position === -1 ? 1 : state.position + 1);
  }

  function play() {
    if (state.timer) pause();
    else {
      state.timer = setInterval(step, STEP_MS);
      if (state.position === 0 || state.position >= REACH_H) show(-REACH_H);
    }
    t.redraw();
  }

  function toLive() {
    pause();
    show(0);
    byId("timeline-range").focus({ preventScroll: true });
  }

  function build(box) {
    const range = element("input", {
      type: "range", id: "timeline-range", min: -REACH_H, max: REACH_H, step: 1, value: 0, "aria-label": text("timeline_label"),
      on: {
        input: (event) => { pause(); show(Number(event.target.value)); },
        keydown: (event) => { if (event.key === "Escape") toLive(); },
        pointerenter: () => { if (state.position === 0) read(); },
        focus: () => { if (state.position === 0) read(); },
      },
    });
    box.replaceChildren(
      element("button", { type: "button", class: "quiet", id: "timeline-play", on: { click: play } }),
      element("div", { class: "timeline-scale" }, range, element("ol", { class: "timeline-ticks", "aria-hidden": "true" })),
      element("button", { type: "button", class: "quiet timeline-live", id: "timeline-live", on: { click: toLive } },
        element("i", { "aria-hidden": "true" }, "●"), " ", text("timeline_live")));
  }

  function drawTicks(box) {
    const middle = isLive() ? Math.floor(t.gridNow() / HOUR_MS) * HOUR_MS : Date.parse(state.hours.hours[REACH_H]);
    const ticks = [-24, -12, 0, 12, 24].map((h) => (h === 0 && isLive() ? text("now") : dayHour(middle + h * HOUR_MS)));
    t.fill(box.querySelector(".timeline-ticks"), ticks.join(), () => ticks.map((tick) => element("li", {}, tick)));
  }

  // What the banner says of the hour shown, and how old that knowledge is.
  function bannerLines(at, isOld) {
    const run = at.forecast;
    const note = at.isPast ? text("timeline_past_note") : text("timeline_ahead_note");
    const source = at.isPast ? "" : run
      ? text("issued", { time: dayHour(Date.parse(run.issued_at)) }) + " · " + text("model", { name: modelName(run) }) : text("timeline_no_run");
    return [
      element("b", {}, text(at.isPast ? "timeline_past" : "timeline_ahead", { hour: words(at.start) })),
      element("span", {}, note), source ? element("span", {}, source) : "",
      run && run.degraded_reason && !at.isPast ? element("span", { class: "fallback" }, "▲ " + t.forecast.fallbackWords(run.degraded_reason)) : "",
      element("small", {}, text("timeline_rest_live"), isOld ? " " + text("timeline_newer") : ""),
    ];
  }

  function drawBanner(frame) {
    const box = byId("timeline-banner");
    const at = view(frame).at;
    const isOld = state.key !== keyOf(frame);
    const isWaiting = !at && state.position !== 0 && !state.problem;
    box.dataset.kind = at ? (at.isPast ? "past" : "ahead") : state.problem ? "problem" : isWaiting ? "waiting" : "live";
    t.fill(box, JSON.stringify([at, isOld, isWaiting, state.problem]), () => {
      if (at) return bannerLines(at, isOld);
      if (state.problem) return element("span", { class: "bad" }, "✕ " + text("timeline_failed", { reason: state.problem }));
      return isWaiting ? text("loading") : [];
    });
  }

  function draw(frame) {
    const box = byId("timeline");
    if (!box) return;
    if (!byId("timeline-range")) build(box);
    if (state.problem) state.position = 0;
    const range = byId("timeline-range");
    if (Number(range.value) !== state.position) range.value = state.position;
    const at = view(frame).at;
    range.setAttribute("aria-valuetext", at
      ? text(at.isPast ? "timeline_past" : "timeline_ahead", { hour: words(at.start) }) : text("timeline_now"));
    const live = byId("timeline-live");
    live.setAttribute("aria-pressed", String(state.position === 0));
    live.title = state.position === 0 ? text("timeline_now") : text("timeline_to_live");
    const button = byId("timeline-play");
    button.textContent = state.timer ? "❚❚" : "▶";
    button.setAttribute("aria-label", text(state.timer ? "timeline_pause" : "timeline_play"));
    button.title = text(state.timer ? "timeline_pause" : "timeline_play");
    drawTicks(box);
    drawBanner(frame);
  }

  t.timeline = { view, modelName };
  t.onFrame(draw);
})();
