// Keeps one socket to the grid open for ever, says honestly how it stands, and hands frames on.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, byId, config } = t;
  const STALE_MS = 8000;
  const LONGEST_WAIT_MS = 20000;
  const REFUSED = { 4401: "signed_out", 4403: "signed_out" };

  let socket = null;
  let failures = 0;
  let lastFrameAt = 0;
  let lastKey = "";
  let waiting = null;
  let isDrawing = false;

  function show(state) {
    const box = byId("connection");
    if (box.dataset.state === state) return;
    box.dataset.state = state;
    box.querySelector("span").textContent = text(state);
    document.body.classList.toggle("not-live", state !== "live");
  }

  // Drawing waits for the browser's next picture; of several frames only the newest is drawn.
  function draw() {
    isDrawing = false;
    if (waiting && !document.hidden) {
      const frame = waiting;
      waiting = null;
      t.accept(frame);
    }
  }

  function drawSoon() {
    if (isDrawing || document.hidden) return;
    isDrawing = true;
    requestAnimationFrame(draw);
  }

  function take(message) {
    const frame = JSON.parse(message.data);
    if (frame.v !== 1) return;
    const key = frame.epoch;
    if (lastKey && key !== lastKey) askForSnapshot();
    lastKey = key;
    lastFrameAt = Date.now();
    failures = 0;
    waiting = frame;
    show("live");
    drawSoon();
  }

  function askForSnapshot() {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send('{"type":"snapshot"}');
  }

  function open() {
    if (socket) return;
    const scheme = location.protocol === "https:" ? "wss://" : "ws://";
    socket = new WebSocket(scheme + location.host + config.urls.socket);
    socket.onmessage = take;
    socket.onclose = closed;
  }

  function closed(event) {
    if (event.target !== socket) return;
    socket = null;
    if (event.code in REFUSED) {
      show(REFUSED[event.code]);
      location.assign(config.urls.login + "?next=" + encodeURIComponent(location.pathname));
      return;
    }
    failures += 1;
    show("offline");
    const longest = Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(failures, 6));
    // all viewers of a restarted server must not come back in the same instant
    setTimeout(open, longest * (0.3 + 0.7 * Math.random()));
  }

  function watch() {
    if (!lastFrameAt || !socket || socket.readyState !== WebSocket.OPEN) return;
    const silence = Date.now() - lastFrameAt;
    if (silence > STALE_MS) show("stale");
    if (silence > STALE_MS * 2) {
      lastFrameAt = Date.now();
      drop();
    }
  }

  document.addEventListener("visibilitychange", drawSoon);
  window.addEventListener("online", open);
  setInterval(watch, 1000);
  // Gives up the present socket and begins anew, as after a change of network.
  function drop() {
    if (socket) socket.close();
  }

  t.live = { askForSnapshot, drop };
  open();
})();
