// A provider's keys: issue the next one, see it once, revoke the old one.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId } = t;
  const ui = { code: "", secret: null, asks: 0 };

  const may = (code) => t.config.viewer.role === "GRID_ADMIN" || t.config.viewer.provider === code;
  const address = (code) => "/api/v1/providers/" + encodeURIComponent(code) + "/keys";
  const day = (iso) => (iso ? t.dateTime(Date.parse(iso)) : text("pv_never"));

  function stateOf(key) {
    if (key.is_live) return element("span", { class: "pv-chip pv-chip-good" }, text("pv_live"));
    return element("span", { class: "pv-chip" }, text(key.revoked_at ? "pv_ended" : "pv_expired"));
  }

  async function revoke(key) {
    if (ui.asks !== key.id) {
      ui.asks = key.id;
      return t.providers.refresh();
    }
    ui.asks = 0;
    const { problem } = await t.providers.send("DELETE", address(ui.code) + "/" + key.id);
    t.toast(problem || text("pv_revoked"), Boolean(problem));
    return t.providers.refresh();
  }

  function revokeButton(key) {
    if (!key.is_live || !may(ui.code)) return "";
    return element("button", {
      type: "button", class: "quiet freeze", id: "pv-revoke-" + key.id,
      "aria-label": text("pv_revoke_label", { key: key.hint }), on: { click: () => revoke(key) },
    }, text(ui.asks === key.id ? "pv_revoke_sure" : "pv_revoke"));
  }

  async function issue(event) {
    event.preventDefault();
    const label = byId("pv-key-label").value.trim();
    const { answer, problem } = await t.providers.send("POST", address(ui.code), { label });
    if (problem) return t.toast(problem, true);
    ui.secret = answer.key;
    return t.providers.refresh();
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(ui.secret);
      t.toast(text("pv_copied"));
    } catch (error) {
      getSelection().selectAllChildren(byId("pv-secret"));
    }
  }

  function drawSecret() {
    return [element("div", { class: "pv-secret", role: "status" },
      element("p", {}, text("pv_issued")),
      element("code", { id: "pv-secret", tabindex: "0" }, ui.secret),
      element("div", { class: "pv-test-tools" },
        element("button", { type: "button", class: "action", on: { click: copy } }, text("pv_copy")),
        element("button", { type: "button", class: "quiet", id: "pv-secret-hide",
          on: { click: () => { ui.secret = null; t.providers.refresh(); } } }, text("pv_hide"))))];
  }

  function drawForm(status) {
    const isFull = status.keys.filter((key) => key.is_live).length >= 2;
    return [element("form", { class: "pv-test-tools", on: { submit: issue } },
      element("input", { type: "text", id: "pv-key-label", maxlength: 80, placeholder: text("pv_label"), "aria-label": text("pv_label"), disabled: isFull }),
      element("button", { type: "submit", class: "action", id: "pv-key-issue", disabled: isFull }, text("pv_new_key")))];
  }

  function draw(status) {
    if (status.provider !== ui.code) Object.assign(ui, { code: status.provider, secret: null, asks: 0 });
    byId("pv-keys-panel").hidden = false;
    const live = status.keys.filter((key) => key.is_live).length;
    t.fill(byId("pv-key-new"), [ui.code, ui.secret, live].join(), () =>
      (!may(ui.code) ? [] : ui.secret ? drawSecret() : drawForm(status)));
    t.fill(byId("pv-keys"), JSON.stringify([ui.asks, status.keys]), () => [status.keys.length
      ? t.providers.table(["pv_key", "pv_label", "pv_state", "pv_created", "pv_used", "pv_expires"].map((key) => text(key)).concat(""),
        status.keys.map((key) => t.providers.row([element("code", {}, key.hint + "…"), key.label, stateOf(key),
          day(key.created_at), day(key.last_used_at), day(key.expires_at), revokeButton(key)])))
      : element("p", { class: "empty" }, text("pv_no_keys"))]);
  }

  t.providers.keys = { draw };
})();
