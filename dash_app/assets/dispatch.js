// What operators may do about plans as a whole: freeze dispatch and let it go on, plan at once.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config } = t;
  const MAY = config.viewer.role === "OPERATOR";
  const ui = { isAsking: false, isSending: false, isPlanning: false };

  async function post(address, body) {
    try {
      const response = await fetch(address, {
        method: "POST", credentials: "same-origin",
        headers: {
          "Content-Type": "application/json", "X-CSRFToken": config.csrf,
          // a request that a proxy sends twice is still one
          "Idempotency-Key": Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-"),
        },
        body: JSON.stringify(body),
      });
      const answer = await response.json().catch(() => ({}));
      return response.ok ? { answer } : { problem: answer.detail || text("action_failed") };
    } catch (error) {
      return { problem: text("action_failed") };
    }
  }

  async function setFrozen(frozen, reason) {
    ui.isSending = true;
    draw(t.state.frame);
    const { problem } = await post(config.urls.freeze, { frozen, reason });
    ui.isSending = false;
    ui.isAsking = Boolean(problem && frozen);
    t.toast(problem || text(frozen ? "done_freeze" : "done_unfreeze"), Boolean(problem));
    t.live.askForSnapshot();
    draw(t.state.frame);
  }

  async function planNow() {
    ui.isPlanning = true;
    draw(t.state.frame);
    const { answer, problem } = await post(config.urls.planning, {});
    ui.isPlanning = false;
    t.toast(problem || text("done_plan", { status: text("run_" + answer.status), n: answer.plans.length }), Boolean(problem));
    t.live.askForSnapshot();
    draw(t.state.frame);
  }

  function ask(isAsking) {
    ui.isAsking = isAsking;
    draw(t.state.frame);
    byId(isAsking ? "freeze-reason" : "freeze").focus();
  }

  function drawTools(isFrozen) {
    if (!MAY) return;
    t.fill(byId("plans-tools"), JSON.stringify([ui, isFrozen]), () => [
      element("button", { type: "button", class: "quiet", id: "plan-now", disabled: ui.isPlanning, on: { click: planNow } },
        text(ui.isPlanning ? "planning" : "plan_now")),
      isFrozen ? "" : element("button", {
        type: "button", class: "quiet freeze", id: "freeze", disabled: ui.isSending, "aria-expanded": String(ui.isAsking),
        on: { click: () => ask(!ui.isAsking) },
      }, text("freeze")),
    ]);
  }

  function freezeForm() {
    const reason = element("input", { id: "freeze-reason", type: "text", maxlength: "500", required: true, disabled: ui.isSending });
    return element("form", {
      class: "freeze-form",
      on: { submit: (event) => { event.preventDefault(); setFrozen(true, reason.value); } },
    },
    element("label", { for: "freeze-reason" }, text("freeze_reason")), reason,
    element("button", { type: "submit", class: "action action-reject", id: "confirm-freeze", disabled: ui.isSending }, text("confirm_freeze")),
    element("button", { type: "button", class: "quiet", on: { click: () => ask(false) } }, text("cancel")));
  }

  function frozenBar(dispatch) {
    const time = dispatch.frozen_at ? t.dateTime(Date.parse(dispatch.frozen_at)).slice(5) : t.UNKNOWN;
    return element("div", { class: "frozen-bar" },
      element("span", {}, element("b", {}, "❄ " + text("frozen_since", { time, user: dispatch.frozen_by, reason: dispatch.reason || t.UNKNOWN })),
        " ", text("frozen_effect")),
      MAY ? element("button", { type: "button", class: "action", id: "unfreeze", disabled: ui.isSending, on: { click: () => setFrozen(false, "") } },
        text("unfreeze")) : null);
  }

  // In the head, where it may come and go without moving any button below.
  function drawCommands({ open, unknown }) {
    t.fill(byId("commands-count"), JSON.stringify([open, unknown]), () => (open ? [
      text("commands_open", { n: open }),
      unknown ? element("b", { class: "in-doubt" }, " · ▲ " + text("commands_unknown", { n: unknown })) : "",
    ] : []));
  }

  function draw(frame) {
    const box = byId("dispatch-state");
    if (!box || !frame.dispatch) return;
    const dispatch = frame.dispatch;
    byId("frozen-pill").hidden = !dispatch.frozen;
    drawTools(dispatch.frozen);
    drawCommands(dispatch);
    const isAsking = ui.isAsking && !dispatch.frozen;
    const { frozen, frozen_by: by, frozen_at: at, reason } = dispatch;
    t.fill(box, JSON.stringify([frozen, by, at, reason, isAsking, ui.isSending]),
      () => (frozen ? frozenBar(dispatch) : isAsking ? freezeForm() : []));
  }

  t.onFrame(draw);
})();
