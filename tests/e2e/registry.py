"""A real registry on loopback (Debian's docker-registry), behind a gate that can hold what it sends, and images to put there."""
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import uuid

import docker_system
from docker_system import SKIPPED, WithDocker, engine
from system import die_with_parent, wait_until

USER, PASSWORD = "agents", "right"
BCRYPT = "$2b$05$u3XicLUFM5tvDked3PTxXuMtWiIGYPL9Za8I8CzSCx3N5skaT6lZG"  # of PASSWORD


def id_of(image):
    return json.loads(engine("get", f"/images/{image}/json"))["Id"]


class Gate:
    """A proxy on a port of its own. hold(bytes): so many more go from the registry to its clients; open(): all again."""

    def __init__(self, port):
        self.target, self.connections, self.room = port, 0, None
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def hold(self, room=0):
        with self.changed:
            self.room = room

    def open(self):
        with self.changed:
            self.room = None
            self.changed.notify_all()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, socket.create_connection(("127.0.0.1", self.target)) as registry:
                threading.Thread(target=self.copy, args=(client, registry), daemon=True).start()
                self.copy(registry, client, self.pass_through)
        except OSError:  # either side went away
            pass

    @staticmethod
    def copy(source, sink, send=socket.socket.sendall):
        try:
            while data := source.recv(65536):
                send(sink, data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def pass_through(self, sink, data):
        while data:
            with self.changed:
                self.changed.wait_for(lambda: self.room is None or self.room > 0)
                part = data if self.room is None else data[:self.room]
                if self.room is not None:
                    self.room -= len(part)
            sink.sendall(part)
            data = data[len(part):]

    def close(self):
        self.open()
        self.listener.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Registry:
    """protected: it asks for USER and PASSWORD. gated: its address is that of a gate before it."""

    def __init__(self, protected=False, gated=True):
        self.folder, self.own_port, self.process = tempfile.mkdtemp(prefix="warmpool-registry-"), free_port(), None
        self.password = f"{USER}:{PASSWORD}" if protected else ""
        self.gate = Gate(self.own_port)
        self.address, self.images = f"127.0.0.1:{self.gate.port if gated else self.own_port}", []
        config = {"version": "0.1", "log": {"level": "warn"}, "storage": {"filesystem": {"rootdirectory": f"{self.folder}/data"}},
                  "http": {"addr": f"127.0.0.1:{self.own_port}", "secret": "of a test"}}
        if protected:
            config["auth"] = {"htpasswd": {"realm": "test", "path": f"{self.folder}/users"}}
        self.write("users", f"{USER}:{BCRYPT}\n")
        self.write("config.yml", json.dumps(config))
        self.start()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)
        return path

    def write_credentials(self, password=PASSWORD, name="docker.json", **more):
        """Docker's config.json with these credentials of the registry; None: without any. Returns its path."""
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        return self.write(name, json.dumps({"auths": {self.address: {"auth": auth}} if password else {}, **more}))

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", f"{self.folder}/config.yml"], stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)
        wait_until(self.answers, "the registry answers")

    def answers(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.own_port}/v2/", timeout=5).close()
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False
        return True

    def stop(self):
        self.process.kill()
        self.process.wait()

    def push(self, name, size=0, keep=False):
        """Makes an image that is like no other, and takes it from the engine again unless it is to be kept there; returns its whole name."""
        image = f"{self.address}/{name}"
        engine("import", image, uuid.uuid4().hex, str(size))
        self.images.append(image)
        engine("push", image, self.password)
        if not keep:
            self.remove(image)
        return image

    def move(self, name):
        """Another image has the name in the registry, while the engine keeps the one that it has."""
        before = id_of(f"{self.address}/{name}")
        image = self.push(name, keep=True)
        moved = id_of(image)
        repository, _, tag = image.rpartition(":")
        engine("post", f"/images/{before}/tag?repo={repository}&tag={tag}")
        return moved

    def pin(self, name):
        """An image that only the registry has, by its digest."""
        image = self.push(name, keep=True)
        pinned = json.loads(engine("get", f"/images/{image}/json"))["RepoDigests"][0]
        self.remove(image)
        self.images.append(pinned)
        return pinned

    @staticmethod
    def remove(image):
        engine("delete", f"/images/{image}?force=1", check=False)

    def close(self):
        self.gate.close()
        self.stop()
        for image in self.images:
            self.remove(image)
        shutil.rmtree(self.folder, ignore_errors=True)


def is_there(image):
    return bool(engine("get", f"/images/{image}/json", check=False))


class WithRegistry(WithDocker):
    protected, gated = False, True

    @classmethod
    def prepare(cls):
        cls.registry = Registry(cls.protected, cls.gated)
        cls.addClassCleanup(cls.registry.close)
        cls.worker = cls.system.workers[0]
        cls.worker.options.update(cls.choose())

    @classmethod
    def choose(cls):
        """Pushes images; returns settings that name them."""
        return {}

    def lines(self, event):
        """What the worker has logged of it."""
        return [line for line in self.worker.log().splitlines() if f" event={event} " in line]

    def line(self, event, count=1):
        return wait_until(lambda: self.lines(event)[count - 1:], lambda: f"{event}: {self.worker.log()[-3000:]}")[0]

    def figure(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.worker.http("/metrics")[1], re.M)[1])

    def warnings(self):
        """Those about images that are in force, by their subject."""
        found = re.findall(r'^warmpool_warning\{code="image_missing",subject="([^"]*)"\} 1$', self.worker.http("/metrics")[1], re.M)
        return sorted(found)

    def serves(self, request_id, philosophy, image):
        given = self.acquire(request_id, philosophy, timeout_ms=100000)
        name, _, digest = given.get("image", "").partition("@")
        self.assertEqual((given["status"], name), ("assigned", image.partition("@")[0]), given)
        self.assertIn(image.partition("@")[2], digest, given)

    def is_kept_ready(self):
        self.system.wait_pool("react", available=1)
        wait_until(lambda: self.warnings() == [], lambda: f"no warning: {self.warnings()}")


def main():
    if not shutil.which("docker-registry"):
        print("skipped: these tests need a registry (Debian's package docker-registry)", file=sys.stderr)
        sys.exit(SKIPPED)
    docker_system.main()
