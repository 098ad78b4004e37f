"""The two that the benches of containers compare: the engine itself, and a worker that drives it."""
import importlib.machinery, importlib.util, json, os, subprocess

from harness import ROOT, WARMPOOL, NotMeasured

IMAGE, COMMAND = "warmpool-test:1", "exec sleep 100000"
CREATES = 4  # at a time


def support():
    loader = importlib.machinery.SourceFileLoader("engine", os.path.join(ROOT, "tests/support/engine"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("engine", loader))
    loader.exec_module(module)
    return module


engine = support()


class Bare:
    """The engine itself: one connection, kept."""

    def __init__(self):
        self.connection = engine.Connection()

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise NotMeasured(f"the engine answers {method} {path} with {answer.status} {text.decode().strip()}")
        return text

    def make(self, name, body):
        self.ask("POST", f"/containers/create?name={name}", body)
        self.ask("POST", f"/containers/{name}/start")

    def remove(self, name):
        self.ask("DELETE", f"/containers/{name}?force=1&v=1")

    def run(self, name, script):
        """A shell in it, until it has ended."""
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["/bin/sh", "-c", script]}
        exec_id = json.loads(self.ask("POST", f"/containers/{name}/exec", json.dumps(body)))["Id"]
        self.ask("POST", f"/exec/{exec_id}/start", json.dumps({"Detach": False}))
        if json.loads(self.ask("GET", f"/exec/{exec_id}/json"))["ExitCode"] != 0:
            raise NotMeasured(f"a shell failed in {name}")


class System:
    """A worker with the docker runtime, and one who asks it and reads what it answers."""

    def __init__(self, bench, containers, *options):
        self.bench, self.prefix, self.requests = bench, bench.new_prefix(), 0
        common = ["pool.clean=true", "host.runtime=docker", "docker.url=" + engine.URL, "docker.image=" + IMAGE, "docker.command=" + COMMAND,
                  f"host.creates={CREATES}", f"host.name={bench.host}", "pool.prewarm_interval=0", "host.capacity=1000", *options]
        self.label = f"io.warmpool.prefix={self.prefix}wp/{self.prefix}"
        bench.labels.append(self.label)
        if containers:
            self.worker = bench.warm_worker(self.prefix, 1, containers, *common)
        else:
            self.worker = bench.worker(self.prefix, "pool.prewarm=", "pool.min_idle=0", "pool.size=100", *common)
        self.senders = {}
        self.tail = bench.start(self.command("tail", "container-assignment", "--from-beginning"), stdout=subprocess.PIPE, text=True)

    def command(self, verb, *words):
        return [WARMPOOL, verb, "-o", f"kafka.bootstrap.servers={self.bench.brokers}", "-o",
                f"topics.prefix={self.prefix}", *words]

    def send(self, topic, *records):
        if topic not in self.senders:
            self.senders[topic] = self.bench.start(self.command("send", topic), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.senders[topic].stdin.write("".join(json.dumps(record) + "\n" for record in records))
        self.senders[topic].stdin.flush()

    def acquire(self, philosophy):
        self.requests += 1
        request = {"request_id": f"q-{self.requests}", "philosophy": philosophy}
        self.send("container-acquire", {**request, "agent_id": "a", "timeout_ms": 30000})
        for line in self.tail.stdout:
            answer = json.loads(line)["value"]
            if answer["request_id"] == request["request_id"]:
                if answer["status"] != "assigned":
                    raise NotMeasured(f"a request was not assigned: {answer['reason']}")
                return request, answer
        raise NotMeasured("nobody answers")

    def release(self, request, reuse):
        self.send("container-release", {**request, "reuse": reuse})

    def burst(self, philosophy, count):
        self.send("container-acquire", *({"request_id": f"b-{i}", "philosophy": philosophy, "agent_id": "a"} for i in range(count)))

    def is_ready(self, philosophy, ready, leased=0):
        pool = self.bench.pool_stats(self.prefix)["pools"].get(philosophy, {})
        return pool.get("ready", 0) >= ready and pool.get("leased", 0) >= leased

    def body_of(self, container):
        """What warmpool sent to make it, but for its init, which would wait for its host."""
        seen = json.loads(Bare().ask("GET", f"/containers/{container}/json"))
        fields = ("Image", "User", "Env", "Labels")
        host = {**seen["HostConfig"], "Binds": []}
        return json.dumps({**{field: seen["Config"][field] for field in fields}, "Entrypoint": ["/bin/sh", "-c"], "Cmd": [COMMAND], "HostConfig": host})

    def close(self):
        for child in (*self.senders.values(), self.tail, self.worker):
            self.bench.stop(child)
        engine.clean(self.label)
