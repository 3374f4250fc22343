#!/usr/bin/env python3
"""A plain HTTP service as the real ones are: it knows its name and its port, and nothing of TLS or of the mesh.

Only Python's standard library. What it answers lets a test see who called and whether bytes arrived whole.
"""
import argparse
import hashlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 64 * 1024


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name = "service"
    timeout = 300

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/health":
            self.answer(200, {"service": self.name, "status": "ok"})
        elif path == "/stream":
            self.stream()
        elif path.startswith("/bytes/"):
            self.send_bytes(int(path.removeprefix("/bytes/")))
        elif path.startswith("/sleep/"):
            time.sleep(float(path.removeprefix("/sleep/")))
            self.answer(200, {"service": self.name})
        else:
            self.answer(200, self.request_seen())

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        digest, size = hashlib.sha256(), 0
        for chunk in self.body():
            digest.update(chunk)
            size += len(chunk)
        self.answer(200, {**self.request_seen(), "bytes": size, "sha256": digest.hexdigest()})

    do_PUT = do_POST

    def request_seen(self):
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        return {"service": self.name, "method": self.command, "path": self.path, "headers": headers}

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left > 0 and (chunk := self.rfile.read(min(left, CHUNK))):
            left -= len(chunk)
            yield chunk

    def stream(self):
        """Counts aloud, five lines a second, until the client goes away."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        number = 0
        try:
            while True:
                number += 1
                line = f"{number}\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
                time.sleep(0.2)
        except OSError:
            self.close_connection = True

    def send_bytes(self, count):
        self.send_response(200)
        self.send_header("Content-Length", str(count))
        self.end_headers()
        block = bytes(range(256)) * (CHUNK // 256)
        while count > 0:
            self.wfile.write(block[: min(count, CHUNK)])
            count -= CHUNK

    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    Service.name = options.name
    server = Server(("127.0.0.1", options.port), Service)
    print(json.dumps({"listening": server.server_address[1]}), flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


main()
