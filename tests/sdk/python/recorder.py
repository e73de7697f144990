"""A reverse proxy that keeps every JSON answer: `recorder.py UPSTREAM_PORT FOLDER`.

It prints its own port, passes requests and answers through unchanged, and appends to the folder:
  responses.jsonl   one answer body to a line
  responses.txt     for the same line: status, method, path
  redacted.jsonl    intents as publishable keys see them: a subset of the object by design, so no whole shape
"""

import http.client
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

UPSTREAM = int(sys.argv[1])
FOLDER = Path(sys.argv[2])
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection"}
lock = threading.Lock()


def record(status, method, path, key, body):
    try:
        value = json.loads(body)
    except ValueError:
        value = {"not_json": body.decode("utf-8", "replace")}
    text = json.dumps(value)
    intents = {"payment_intent", "setup_intent"}
    redacted = "pk_" in key and (value.get("object") in intents or intents & value.get("error", {}).keys())
    with lock:
        if redacted:
            with open(FOLDER / "redacted.jsonl", "a") as file:
                file.write(text + "\n")
            return
        with open(FOLDER / "responses.jsonl", "a") as file:
            file.write(text + "\n")
        with open(FOLDER / "responses.txt", "a") as file:
            file.write(f"{status} {method} {path}\n")


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    upstream = None

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        connection = http.client.HTTPConnection("127.0.0.1", UPSTREAM, timeout=90)
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            data = answer.read()
        except OSError:
            self.close_connection = True  # The client sees what it would see without us: a lost connection.
            return
        finally:
            connection.close()
        record(answer.status, self.command, self.path, self.headers.get("Authorization", ""), data)
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = pass_on

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
