// Shared by every script of the page: settings, words, formats, the newest frame and who waits for it.
(function () {
  "use strict";

  const config = JSON.parse(document.getElementById("page-config").textContent);
  const firstFrame = JSON.parse(document.getElementById("first-frame").textContent);
  const locale = config.lang === "zh" ? "zh-CN" : "en-US";
  const ZONE = "Asia/Shanghai";
  const UNKNOWN = "—";
  const listeners = [];

  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const dateTime = new Intl.DateTimeFormat("sv-SE", {
    timeZone: ZONE, year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit",
  });
  const clockTime = new Intl.DateTimeFormat("sv-SE", {
    timeZone: ZONE, hour: "2-digit", minute: "2-digit",
  });

  const state = { frame: firstFrame, receivedAt: Date.now(), theme: config.theme };

  function text(key, values) {
    const template = config.texts[key] === undefined ? key : config.texts[key];
    if (!values) return template;
    return template.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
  }

  // "1 workload", "2 workloads": the text's own key for one, where the language has one.
  const counted = (key, n) => text(n === 1 && config.texts[key + "_one"] ? key + "_one" : key, { n });

  const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);
  const count = (value) => (isKnown(value) ? whole.format(Math.round(value)).replace("-", "−") : UNKNOWN);
  const percent = (ratio, digits) =>
    isKnown(ratio) ? (ratio * 100).toFixed(digits === undefined ? 0 : digits) + " %" : UNKNOWN;

  function usd(value) {
    if (!isKnown(value)) return UNKNOWN;
    const size = Math.abs(value);
    const digits = size >= 1000 ? 0 : size >= 10 ? 1 : 2;
    const sign = value < 0 ? "−" : "";
    return sign + "$" + size.toLocaleString(locale, {
      minimumFractionDigits: digits, maximumFractionDigits: digits,
    });
  }

  function span(seconds) {
    const s = Math.max(0, seconds);
    if (s < 100) return text("unit_s", { n: Math.round(s) });
    if (s < 5400) return text("unit_min", { n: Math.round(s / 60) });
    if (s < 172800) return text("unit_h", { n: (s / 3600).toFixed(s < 36000 ? 1 : 0) });
    return text("unit_d", { n: Math.round(s / 86400) });
  }

  const age = (seconds) =>
    isKnown(seconds) ? (seconds < 45 ? text("age_now") : text("age", { age: span(seconds) })) : UNKNOWN;

  const name = (thing) => (thing ? (config.lang === "zh" ? thing.zh : thing.en) : "");
  const words = (thing, stem) => thing[stem + "_" + config.lang] || thing[stem + "_en"] || "";

  const rate = () => (state.frame.clock ? state.frame.clock.rate : 1);

  // Grid time now: the frame's time, carried on at the grid's rate since it came.
  function gridNow() {
    return Date.parse(state.frame.grid_now) + (Date.now() - state.receivedAt) * rate();
  }

  // Elements from a small description; text is always set as text, never as HTML.
  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "class") node.className = value;
      else if (key === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
      else node.setAttribute(key, value === true ? "" : value);
    }
    for (const child of children.flat()) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : String(child));
    }
    return node;
  }

  function svg(tag, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  const QUALITY_MARK = { good: "●", stale: "◐", suspect: "◇", unknown: "?" };
  function quality(value, seconds) {
    const known = value in QUALITY_MARK ? value : "unknown";
    return element("span", { class: "quality quality-" + known },
      element("i", { "aria-hidden": "true" }, QUALITY_MARK[known]), " ",
      text("quality_" + known), isKnown(seconds) ? " · " + age(seconds) : "");
  }

  // Replaces children only when what they say has changed: no flicker, no lost focus.
  function fill(container, signature, build) {
    if (!container || container.dataset.signature === signature) return false;
    container.dataset.signature = signature;
    const focused = container.contains(document.activeElement) ? document.activeElement.id : "";
    container.replaceChildren(...[].concat(build()));
    if (focused) {
      const again = document.getElementById(focused);
      if (again) again.focus({ preventScroll: true });
    }
    return true;
  }

  function onFrame(listener) {
    listeners.push(listener);
  }

  function redraw() {
    for (const listener of listeners) listener(state.frame);
  }

  function accept(frame) {
    state.frame = frame;
    state.receivedAt = Date.now();
    redraw();
  }

  const byId = (id) => document.getElementById(id);
  const regionOf = (code) => state.frame.regions.find((region) => region.code === code);
  const siteOf = (code) => state.frame.sites.find((site) => site.code === code);
  const siteOfPool = (code) =>
    state.frame.sites.find((site) => site.pools.some((pool) => pool.code === code));

  let toastTimer = 0;
  function toast(message, isBad) {
    const box = byId("toast");
    box.textContent = message;
    box.dataset.kind = isBad ? "bad" : "good";
    box.classList.add("shown");
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => box.classList.remove("shown"), isBad ? 9000 : 5000);
  }

  window.tiaodu = {
    config, state, text, counted, isKnown, count, percent, usd, span, age, name, words, rate, gridNow, element, svg,
    quality, fill, onFrame, redraw, accept, byId, regionOf, siteOf, siteOfPool, toast, UNKNOWN,
    dateTime: (moment) => dateTime.format(moment), clockTime: (moment) => clockTime.format(moment),
  };
})();
