// The list of firing alerts, newest first, each with a symbol and a word for how bad it is.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config } = t;
  const MARK = { critical: "⬣", warning: "▲", info: "ⓘ" };
  const MAY_ACKNOWLEDGE = config.viewer.role === "OPERATOR";
  const SHOWN = 60;
  const sending = new Set();

  async function acknowledge(alert) {
    sending.add(alert.id);
    draw(t.state.frame);
    try {
      const response = await fetch(config.urls.alerts + alert.id + "/acknowledge", {
        method: "POST", credentials: "same-origin",
        headers: { "Content-Type": "application/json", "X-CSRFToken": config.csrf },
        body: "{}",
      });
      if (!response.ok) {
        const problem = await response.json().catch(() => ({}));
        t.toast(problem.detail || text("action_failed"), true);
      }
    } catch (error) {
      t.toast(text("action_failed"), true);
    }
    sending.delete(alert.id);
    draw(t.state.frame);
  }

  function row(alert) {
    const isDone = Boolean(alert.acknowledged_by);
    const seconds = (t.gridNow() - Date.parse(alert.since)) / 1000;
    const button = MAY_ACKNOWLEDGE && !isDone && element("button", {
      class: "quiet", type: "button", id: "ack-" + alert.id, disabled: sending.has(alert.id),
      "aria-label": text("acknowledge_label", { alert: t.name(alert) }),
      on: { click: () => acknowledge(alert) },
    }, text("acknowledge"));
    return element("li", { class: "alert severity-" + alert.severity + (isDone ? " acknowledged" : "") },
      element("span", { class: "severity" },
        element("i", { "aria-hidden": "true" }, MARK[alert.severity] || "▲"), " ",
        text("severity_" + alert.severity)),
      element("span", { class: "alert-words" }, t.name(alert),
        isDone && element("small", {}, " ✓ " + text("acknowledged_by", { user: alert.acknowledged_by }))),
      element("span", { class: "alert-age" }, text("since", { age: t.span(seconds) })),
      button || element("span", {}));
  }

  function draw(frame) {
    const list = byId("alerts-list");
    if (!list) return;
    const alerts = [...frame.alerts].sort((a, b) => Date.parse(b.since) - Date.parse(a.since));
    const minute = Math.floor(Date.parse(frame.grid_now) / 120000);
    const signature = JSON.stringify([alerts, minute, [...sending]]);
    t.fill(list, signature, () => {
      if (!alerts.length) return element("p", { class: "empty" }, "✓ " + text("no_alerts"));
      const more = alerts.length - SHOWN;
      return [
        element("ul", { class: "alerts" }, alerts.slice(0, SHOWN).map(row)),
        more > 0 ? element("p", { class: "empty" }, text("more_alerts", { n: more })) : "",
      ];
    });
    const counts = Object.keys(MARK).map((severity) => [severity, alerts.filter((alert) => alert.severity === severity).length]);
    t.fill(byId("alerts-count"), counts.join(), () => counts.filter(([, n]) => n).map(([severity, n]) =>
      element("span", { class: "severity-" + severity, title: text("severity_" + severity) },
        element("span", { class: "severity" }, MARK[severity] + " " + n), " ")));
  }

  t.onFrame(draw);
})();
