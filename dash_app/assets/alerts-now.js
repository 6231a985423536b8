// The Alerts page: what is wrong now, and what was.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId } = t;
  const MARK = { critical: "⬣", warning: "▲", info: "ⓘ" };
  const PAST_SHOWN = 40;
  const sinceS = (moment) => (t.gridNow() - Date.parse(moment)) / 1000;

  const severity = (level) => element("span", { class: "severity-" + level },
    element("span", { class: "severity" }, element("i", { "aria-hidden": "true" }, MARK[level] || "▲"), " ",
      text("severity_" + level)));

  const chip = (state, more) => element("span", { class: "al-chip al-chip-" + state.toLowerCase() },
    text("al_state_" + state), more ? " " + more : "");

  function attendance(alert, page) {
    if (alert.acknowledged_by) {
      return element("div", { class: "al-taken" }, "✓ ", text("al_acknowledged", { user: alert.acknowledged_by }),
        alert.comment && element("small", {}, " — " + alert.comment));
    }
    if (!page.may_acknowledge) return element("div", {});
    const comment = element("input", {
      type: "text", id: "al-comment-" + alert.id, maxlength: "500",
      placeholder: text("al_comment"), "aria-label": text("al_comment") });
    return element("form", { class: "al-ack", on: { submit: (event) => {
      event.preventDefault();
      page.send("POST", "/api/v1/alerts/" + alert.id + "/acknowledge", { comment: comment.value });
    } } }, comment, element("button", { class: "quiet", type: "submit", id: "al-ack-" + alert.id,
      "aria-label": text("acknowledge_label", { alert: t.name(alert) }) }, text("acknowledge")));
  }

  function row(alert, page) {
    const since = alert.fired_at || alert.pending_at;
    return element("li", { class: "al-alert severity-" + alert.severity + (alert.state === "PENDING" ? " al-pending" : "") },
      severity(alert.severity),
      element("div", { class: "al-words" }, element("b", {}, t.name(alert)),
        element("small", {}, text("since", { age: t.span(sinceS(since)) }),
          alert.unknown_since && element("span", { class: "al-unknown" },
            " · ◇ " + text("al_unknown_since", { age: t.span(sinceS(alert.unknown_since)) })))),
      chip(alert.state), attendance(alert, page));
  }

  function drawNow(page) {
    const alerts = [...page.open].sort((a, b) =>
      (a.state === "PENDING") - (b.state === "PENDING") || Object.keys(MARK).indexOf(a.severity) - Object.keys(MARK).indexOf(b.severity)
      || Date.parse(b.pending_at) - Date.parse(a.pending_at));
    const minute = Math.floor(t.gridNow() / 60000);
    t.fill(byId("al-now"), JSON.stringify([alerts, minute]), () => (alerts.length
      ? element("ul", { class: "al-list" }, alerts.map((alert) => row(alert, page)))
      : element("p", { class: "empty" }, "✓ " + text("al_none"))));
    drawCounts(page, alerts);
  }

  function drawCounts(page, alerts) {
    const firing = alerts.filter((alert) => alert.state === "FIRING" && alert.kind !== "WATCHDOG");
    const counts = [
      ["critical", firing.filter((alert) => alert.severity === "critical").length, "bad"],
      ["warning", firing.filter((alert) => alert.severity === "warning").length, "warn"],
      ["pending", alerts.length - alerts.filter((alert) => alert.state === "FIRING").length, ""],
      ["unattended", firing.filter((alert) => !alert.acknowledged_by).length, "warn"],
      ["failing", page.targets.filter((target) => target.is_enabled && target.failures).length, "bad"],
    ];
    t.fill(byId("al-counts"), JSON.stringify(counts), () => counts.map(([key, n, tone]) =>
      element("li", { class: n && tone ? "al-count-" + tone : "" }, element("b", {}, String(n)), " ", text("al_count_" + key))));
  }

  function drawPast(page) {
    const head = ["al_severity", "al_what", "al_began", "al_ended", "al_lasted", "al_who"];
    t.fill(byId("al-past"), JSON.stringify(page.past), () => (page.past.length ? element("table", { class: "al-table" },
      element("thead", {}, element("tr", {}, head.map((key) => element("th", { scope: "col" }, text(key))))),
      element("tbody", {}, page.past.slice(0, PAST_SHOWN).map((alert) => element("tr", {},
        element("td", {}, severity(alert.severity)), element("td", { class: "al-what" }, t.name(alert)),
        element("td", {}, t.dateTime(Date.parse(alert.fired_at)).slice(5)),
        element("td", {}, t.dateTime(Date.parse(alert.resolved_at)).slice(5)),
        element("td", {}, t.span((Date.parse(alert.resolved_at) - Date.parse(alert.fired_at)) / 1000)),
        element("td", {}, alert.acknowledged_by || "—", alert.comment && element("small", {}, " " + alert.comment))))))
      : element("p", { class: "empty" }, text("al_no_past"))));
  }

  t.alertsNow = { drawNow, drawPast, severity, chip };
})();
