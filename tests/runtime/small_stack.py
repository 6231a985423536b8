"""Starts the real supervisor around real servers and three tiny programs: run by path."""

import os
import sys
import textwrap
from functools import partial
from pathlib import Path

from controlplane.runtime.__main__ import main
from controlplane.runtime.children import ChildSpec
from controlplane.runtime.stack import RANK_PROVIDER, RANK_WEB, RANK_WORKER, http_probe

WEB = """
    import http.server, sys

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
# Like a prefork pool: the children ignore the polite signal and outlive a killed parent.
WORKER = """
    import os, signal, time

    for _ in range(2):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
    print("pool ready.", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        signal.pause()
"""
QUICK = "import time; print('WARNING quick speaks', flush=True); time.sleep(600)"


def small_stack(folder, servers, *, environment, web_port):
    part = partial(ChildSpec, environment=environment, directory=Path(__file__).parent)
    return (
        *servers.children,
        part("prepare", script(os.environ.get("SMALL_STACK_PREPARE", "")), is_task=True),
        part(
            "web",
            script(WEB, str(web_port)),
            after=(*servers.ready_after, "prepare"),
            probe=http_probe(f"http://127.0.0.1:{web_port}/livez"),
            stop_rank=RANK_WEB,
        ),
        part(
            "worker",
            script(WORKER),
            after=servers.ready_after,
            ready_line="ready",
            stop_rank=RANK_WORKER,
        ),
        part(
            "quick",
            script(os.environ.get("SMALL_STACK_QUICK", QUICK)),
            after=("web",),
            ready_line="quick speaks",
            patience_s=0.5,
            stop_rank=RANK_PROVIDER,
        ),
    )


def script(text, *arguments):
    return (sys.executable, "-c", textwrap.dedent(text), *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, stack=small_stack))
