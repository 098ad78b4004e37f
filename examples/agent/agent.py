#!/usr/bin/env python3
"""What runs in a container of the `process` runtime in these examples: it runs the commands that it is sent.

usage: agent.py FOLDER      listens at FOLDER/CONTAINER_ID.sock; `process.command = exec python3 …/agent.py FOLDER`

A connection carries one shell command up to the end of what its client sends; the answer is one JSON object:
{"output": "…", "exit": 0, "cpu_percent": 12.5, "memory_mb": 3.1}. The socket is its user's alone.
"""
import json
import os
import socketserver
import subprocess
import sys
import time


class Job(socketserver.StreamRequestHandler):
    def handle(self):
        command = self.rfile.read().decode()
        began = time.monotonic()
        process = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = used.ru_utime + used.ru_stime
        self.wfile.write(json.dumps({"output": output.decode(errors="replace"), "exit": process.returncode,
                                     "cpu_percent": round(100 * cpu / max(time.monotonic() - began, 0.001), 1),
                                     "memory_mb": round(used.ru_maxrss / 1024, 1)}).encode())


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        print(f"agent: a job's client has gone: {sys.exc_info()[1]}", file=sys.stderr)


def main():
    os.umask(0o077)
    path = os.path.join(sys.argv[1], os.environ["WARMPOOL_CONTAINER_ID"] + ".sock")
    os.makedirs(sys.argv[1], exist_ok=True)
    if os.path.exists(path):
        os.unlink(path)
    with Server(path, Job) as server:
        ready = os.environ.get("WARMPOOL_READY_FD")  # for process.ready = notify: not handed out before it listens
        if ready:
            os.write(int(ready), b"ready\n")
        server.serve_forever()


if __name__ == "__main__":
    main()
