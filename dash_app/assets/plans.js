// The list of plans, and the viewer's decisions: sent over HTTP to the same API that scripts use.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config, planCard } = t;
  const ORDER = ["PROPOSED", "DISPATCHING", "APPROVED", "DRAFT"];
  const uis = new Map();

  const uiOf = (id) => {
    if (!uis.has(id)) uis.set(id, {});
    return uis.get(id);
  };

  async function send(plan, action, body) {
    const ui = uiOf(plan.id);
    ui.isBusy = true;
    ui.problem = "";
    draw(t.state.frame);
    try {
      const response = await fetch(config.urls.plans + plan.id + "/" + action, {
        method: "POST", credentials: "same-origin",
        headers: {
          "Content-Type": "application/json", "X-CSRFToken": config.csrf,
          "If-Match": '"' + plan.content_hash + '"',
        },
        body: JSON.stringify(body || {}),
      });
      if (response.ok) {
        ui.isRejecting = false;
        t.toast(text("done_" + action, { plan: plan.id }));
        t.live.askForSnapshot();
      } else {
        const problem = await response.json().catch(() => ({}));
        ui.problem = problem.detail || text("action_failed");
      }
    } catch (error) {
      ui.problem = text("action_failed");
    }
    ui.isBusy = false;
    draw(t.state.frame);
  }

  function actsFor(plan) {
    const ui = uiOf(plan.id);
    return {
      act: (action) => {
        if (action !== "reject") return send(plan, action);
        ui.isRejecting = true;
        draw(t.state.frame);
        return byId("reason-" + plan.id).focus();
      },
      reject: (code, comment) => send(plan, "reject", { reason_code: code, comment }),
      back: () => {
        ui.isRejecting = false;
        draw(t.state.frame);
        byId("reject-" + plan.id).focus();
      },
      toggle: (event) => { ui.isOpen = event.target.open; },
      toggleAccount: (event) => { ui.isAccountOpen = event.target.open; },
    };
  }

  function rank(plan) {
    const mine = planCard.allowedActions(plan).length ? 0 : 1;
    const place = ORDER.indexOf(plan.state);
    return [mine, place < 0 ? ORDER.length : place, Date.parse(plan.decide_by) || 0];
  }

  function compare(a, b) {
    const left = rank(a);
    const right = rank(b);
    for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return left[i] - right[i];
    return 0;
  }

  function holder(list, id) {
    let box = list.querySelector('[data-holder="' + id + '"]');
    if (!box) {
      box = element("div", { "data-holder": id });
      list.append(box);
    }
    return box;
  }

  function draw(frame) {
    const list = byId("plans-list");
    if (!list) return;
    const plans = [...frame.plans].sort(compare);
    byId("plans-count").textContent = plans.length ? String(plans.length) : "";
    const wanted = plans.length ? plans.map((plan) => String(plan.id)) : ["none"];
    for (const box of [...list.children]) if (!wanted.includes(box.dataset.holder)) box.remove();
    wanted.forEach((id, place) => {
      const box = holder(list, id);
      if (list.children[place] !== box) list.insertBefore(box, list.children[place]);
      if (id === "none") {
        t.fill(box, "none", () => element("div", { class: "empty" },
          element("p", {}, text("no_plans")), element("p", { class: "muted" }, text("no_plans_hint"))));
        return;
      }
      const plan = plans[place];
      const ui = uiOf(plan.id);
      const signature = JSON.stringify([plan, ui.isBusy, ui.isRejecting, ui.problem,
        planCard.allowedActions(plan)]);
      t.fill(box, signature, () => planCard.card(plan, ui, actsFor(plan)));
    });
    drawRun(frame.planning);
    drawDeadlines();
  }

  function drawRun(run) {
    t.fill(byId("planning-run"), JSON.stringify(run), () => (run ? [
      text("planned_at", { time: t.clockTime(Date.parse(run.as_of)) }), " · ",
      text("run_" + run.status), " · ", text("gap", { value: t.percent(run.gap, 1) }),
      run.waiting ? " · " + text("waiting_n", { n: run.waiting }) : "",
    ].join("") : ""));
  }

  function drawDeadlines() {
    if (document.hidden) return;
    for (const node of document.querySelectorAll("[data-decide-by]")) planCard.drawDeadline(node);
  }

  t.onFrame(draw);
  setInterval(drawDeadlines, 1000);
})();
