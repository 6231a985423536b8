// Drives the Alerts page: reads anew when the grid says that alerts have changed, and now and then.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, byId, config } = t;
  const READ_AGAIN_MS = 10000;
  let page = JSON.parse(byId("al-first").textContent);
  let seen = "";
  let readAt = Date.now();

  function draw() {
    page.send = send;
    t.alertsNow.drawNow(page);
    t.alertsRules.draw(page);
    t.alertsTargets.draw(page);
    t.alertsNow.drawPast(page);
  }

  // A half-written comment or form is not taken away by a newer picture.
  const isWriting = () => {
    const focused = document.activeElement;
    if (focused && focused.closest("#main") && focused.matches("input, select")) return true;
    return t.alertsRules.isEditing() || [...document.querySelectorAll("#al-now input")].some((input) => input.value);
  };

  async function read() {
    readAt = Date.now();
    try {
      const response = await fetch("/alerts/data.json", { credentials: "same-origin" });
      if (!response.ok) return;
      page = await response.json();
      draw();
    } catch (error) {
      // The connection's own sign says that there is none; the next turn tries again.
    }
  }

  async function send(method, address, body, options) {
    const wishes = options || {};
    const headers = { "Content-Type": "application/json", "X-CSRFToken": config.csrf };
    if (wishes.version !== undefined) headers["If-Match"] = '"' + wishes.version + '"';
    let answer = null;
    try {
      const response = await fetch(address, {
        method, headers, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body) });
      const told = response.status === 204 ? {} : await response.json().catch(() => ({}));
      if (response.ok) answer = told;
      t.toast(response.ok ? wishes.done || text("al_done") : told.detail || text("action_failed"), !response.ok);
    } catch (error) {
      t.toast(text("action_failed"), true);
    }
    await read();
    return answer;
  }

  t.onFrame((frame) => {
    const signature = JSON.stringify((frame.alerts || []).map((alert) => [alert.id, alert.state, alert.acknowledged_by]));
    const isNews = Boolean(frame.alerts) && signature !== seen;
    if (frame.alerts) seen = signature;
    if ((isNews || Date.now() - readAt > READ_AGAIN_MS) && !isWriting()) read();
  });
  draw();
  const place = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
  if (place) place.closest("tr").classList.add("al-found");
})();
