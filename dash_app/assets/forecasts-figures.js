// The small figures of the Forecasts page: skill and coverage by lead, and the watch for drift.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, svg, percent, isKnown } = t;
  const WIDE = 420;
  const HIGH = 168;
  const BASE = { left: 46, right: 10, top: 12, bottom: 34 };
  const NOMINAL = 0.9;

  const nothing = () => element("p", { class: "empty" }, text("fc_nothing_true"));
  const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + (Math.abs(value) * 100).toFixed(1) + " %";
  const label = (x, y, words, more) => svg("text", { x, y, class: "fc-axis", ...more }, words);

  function canvas(name, ...children) {
    return svg("svg", { viewBox: "0 0 " + WIDE + " " + HIGH, class: "fc-figure", role: "img", "aria-label": name }, ...children);
  }

  function scaleOf(low, high) {
    const tall = HIGH - BASE.top - BASE.bottom;
    return (value) => BASE.top + tall * (1 - (value - low) / (high - low));
  }

  const places = (count) => {
    const step = (WIDE - BASE.left - BASE.right) / Math.max(1, count);
    return (i) => BASE.left + step * (i + 0.5);
  };

  function rule(y, words, kind) {
    return [
      svg("line", { x1: BASE.left, x2: WIDE - BASE.right, y1: y, y2: y, class: kind || "fc-rule" }),
      label(BASE.left - 6, y + 4, words, { "text-anchor": "end" }),
    ];
  }

  const byLead = (accuracy) => Object.entries((accuracy.live && accuracy.live.by_lead) || {}).filter(([, part]) => part.hours);

  // Bars above zero are better than the best naive rule, bars below are worse and say so in colour and sign.
  function skill(accuracy) {
    const leads = byLead(accuracy).filter(([, part]) => isKnown(part.skill));
    if (!leads.length) return [nothing()];
    const values = leads.map(([, part]) => part.skill);
    const high = Math.max(0.1, ...values) * 1.25;
    const low = Math.min(-0.02, ...values) * 1.25;
    const y = scaleOf(low, high);
    const x = places(leads.length);
    const width = Math.min(46, (WIDE - BASE.left) / leads.length / 2);
    const bars = leads.flatMap(([lead, part], i) => {
      const top = Math.min(y(0), y(part.skill));
      const tall = Math.max(1.5, Math.abs(y(part.skill) - y(0)));
      return [
        svg("rect", { x: x(i) - width / 2, y: top, width, height: tall, rx: 2, class: part.skill >= 0 ? "fc-better" : "fc-worse" }),
        label(x(i), part.skill >= 0 ? top - 4 : top + tall + 12, signed(part.skill), { "text-anchor": "middle", class: "fc-value" }),
        label(x(i), HIGH - 18, lead, { "text-anchor": "middle" }),
        label(x(i), HIGH - 5, part.best_naive || "", { "text-anchor": "middle", class: "fc-axis fc-faint" }),
      ];
    });
    return [
      canvas(text("fc_skill") + ": " + leads.map(([lead, part]) => lead + " h " + signed(part.skill)).join(", "), ...rule(y(0), "0"), ...bars),
      element("p", { class: "fc-note" }, text("fc_lead_h") + " · " + text("fc_skill_note")),
      scopes(accuracy),
    ];
  }

  function scopes(accuracy) {
    const parts = (accuracy.live && accuracy.live.scopes) || {};
    const rows = ["pool", "site", "region", "grid", "price", "carbon"].map((scope) => [scope, scope === "pool" ? accuracy.live : parts[scope]]).filter(([, part]) => part && part.overall && part.overall.hours);
    const cell = (part, words) => element("td", {}, words);
    return element("table", { class: "fc-table" },
      element("thead", {}, element("tr", {}, [text("fc_by_scope"), text("fc_wape"), text("fc_naive"), text("fc_skill_short"), text("fc_cover_short")].map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map(([scope, part]) => {
        const o = part.overall;
        const naive = o.best_naive ? o.naive[o.best_naive] : null;
        return element("tr", {},
          element("th", { scope: "row" }, text("fc_scope_" + scope)),
          cell(o, percent(o.wape, 1)), cell(o, isKnown(naive) ? percent(naive, 1) : "—"),
          element("td", { class: isKnown(o.skill) && o.skill < 0 ? "fc-bad" : "" }, isKnown(o.skill) ? signed(o.skill) : "—"),
          cell(o, percent(o.coverage && o.coverage["0.9"])));
      })));
  }

  function coverage(accuracy) {
    const leads = byLead(accuracy).filter(([, part]) => part.coverage && isKnown(part.coverage["0.9"]));
    if (!leads.length) return [nothing()];
    const values = leads.map(([, part]) => part.coverage["0.9"]);
    const low = Math.min(0.8, ...values) - 0.03;
    const y = scaleOf(low, 1.0);
    const x = places(leads.length);
    const marks = leads.flatMap(([lead, part], i) => {
      const value = part.coverage["0.9"];
      const isOff = value < 0.86 || value > 0.96;
      return [
        svg("line", { x1: x(i), x2: x(i), y1: y(NOMINAL), y2: y(value), class: "fc-stem" }),
        svg("circle", { cx: x(i), cy: y(value), r: 5, class: isOff ? "fc-dot fc-off" : "fc-dot" }),
        label(x(i), value >= NOMINAL ? y(value) - 9 : y(value) + 18, percent(value, 1), { "text-anchor": "middle", class: "fc-value" }),
        label(x(i), HIGH - 12, lead, { "text-anchor": "middle" }),
      ];
    });
    const ground = svg("rect", { x: BASE.left, width: WIDE - BASE.left - BASE.right, y: y(0.93), height: y(0.88) - y(0.93), class: "fc-good-zone" });
    const hours = accuracy.live.overall.hours;
    return [
      canvas(text("fc_coverage") + ": " + leads.map(([lead, part]) => lead + " h " + percent(part.coverage["0.9"], 1)).join(", "), ground, ...rule(y(NOMINAL), "90 %"), ...rule(y(1), "100 %"), ...marks),
      element("p", { class: "fc-note" }, text("fc_lead_h") + " · " + text("fc_coverage_note")),
      element("p", { class: "fc-note" }, text("fc_trust_note", { hours: t.count(hours), runs: accuracy.live.runs })),
    ];
  }

  function drift(accuracy) {
    const found = accuracy.drift || {};
    const ratio = found.ratio || [];
    const signs = found.signs || [];
    const verdict = signs.length
      ? element("p", { class: "fc-verdict fc-bad" }, "▲ " + signs.map((sign) => text("fc_sign_" + sign)).join(" · ") + " · " + text("fc_retraining"))
      : ratio.length < 6
        ? element("p", { class: "fc-verdict muted" }, text("fc_drift_few", { n: ratio.length }))
        : element("p", { class: "fc-verdict fc-good" }, "● " + text("fc_drift_ok"));
    if (ratio.length < 2) return [verdict, element("p", { class: "fc-note" }, text("fc_drift_note"))];
    const high = Math.max(1.2, ...ratio) * 1.05;
    const y = scaleOf(0, high);
    const x = places(ratio.length);
    const path = ratio.map((value, i) => (i ? "L" : "M") + x(i).toFixed(1) + " " + y(value).toFixed(1)).join("");
    const ends = [0, ratio.length - 1].map((i) => label(i ? WIDE - BASE.right : BASE.left, HIGH - 12, t.dateTime(Date.parse(found.at[i])).slice(5), { "text-anchor": i ? "end" : "start" }));
    return [
      verdict,
      canvas(text("fc_drift_note"), ...rule(y(1), "1"), ...rule(y(0), "0"), svg("path", { d: path, class: "fc-line" }),
        ...ratio.map((value, i) => svg("circle", { cx: x(i), cy: y(value), r: 2.4, class: value > 1 ? "fc-dot fc-off" : "fc-dot" })), ...ends),
      element("p", { class: "fc-note" }, text("fc_drift_note")),
    ];
  }

  t.forecastFigures = { skill, coverage, drift, signed };
})();
