"""A proxy in front of a Docker engine's socket that can refuse, delay, hold and cut what goes through it."""
import json
import os
import socket
import threading
import time


class Proxy:
    """rule(method, path) says what becomes of a request: None (it goes through), ("answer", status, message), ("delay", seconds),
    ("hold", event) or ("cut",): the engine does it, and its answer is lost."""

    def __init__(self, folder, engine):
        self.path, self.engine, self.rule, self.seen = os.path.join(folder, "engine.sock"), engine.removeprefix("unix://"), None, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def close(self):
        self.listener.close()

    def serve(self, client):
        try:
            with client:
                self.serve_one(client)
        except OSError:  # either side went away
            pass

    def serve_one(self, client):
        request = b""
        while b"\r\n\r\n" not in request:
            more = client.recv(65536)
            if not more:
                return
            request += more
        head, body = request.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        method, path, _ = lines[0].decode().split(" ", 2)
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            body += client.recv(65536)
        self.seen.append((method, path))
        what = self.rule(method, path) if self.rule else None
        if what and what[0] == "answer":
            text = json.dumps({"message": what[2]}).encode()
            client.sendall(b"HTTP/1.1 %d Error\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                           % (what[1], len(text), text))
            return
        if what and what[0] == "delay":
            time.sleep(what[1])
        if what and what[0] == "hold":
            what[1].wait(120)
        with socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(self.engine)
            upstream.sendall(b"\r\n".join([lines[0], b"Connection: close", *(line for line in lines[1:] if not line.lower().startswith(b"connection:"))])
                             + b"\r\n\r\n" + body)
            while answer := upstream.recv(65536):
                if not (what and what[0] == "cut"):
                    client.sendall(answer)
