"""compose.yaml as README.md says to use it: from `up` to a warm container for a client outside, to `down` that leaves nothing. Every
run has a project, ports, a host name and secrets of its own."""
import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

from confluent_kafka import KafkaException, Producer

from system import ROOT, WAIT_LIMIT, WARMPOOL, wait_until

SKIPPED = 77  # as tests/CMakeLists.txt says it to ctest
IMAGES = ("apache/kafka:4.1.0", "redis:8", "debian:trixie-slim")
ENGINE = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def works(*command):
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=300).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def compose_command():
    """The words that call Compose here, None where there is none."""
    return next((words for words in (["docker", "compose"], ["docker-compose"]) if works(*words, "version")), None)


def why_not():
    """Why these tests cannot run here, None when they can."""
    if not works(ROOT / "tests/support/engine", "ping"):
        return "a Docker engine (DOCKER_HOST says where)"
    if not ENGINE.startswith("unix://"):
        return f"a Docker engine on this machine, not at {ENGINE}"
    if not works("docker", "version") or not compose_command():
        return "the commands docker and docker-compose (or docker compose)"
    missing = [image for image in IMAGES if not works("docker", "image", "inspect", image) and not works("docker", "pull", image)]
    return f"the image {missing[0]}, which is not here and cannot be pulled" if missing else None


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def engine(*words):
    return subprocess.run([ROOT / "tests/support/engine", *words], check=True, capture_output=True, text=True).stdout


def labelled(label):
    filters = urllib.parse.quote(json.dumps({"label": [label]}))
    return json.loads(engine("get", f"/containers/json?all=1&filters={filters}"))


class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = f"warmpool{uuid.uuid4().hex[:8]}"
        cls.folder = tempfile.mkdtemp(prefix="warmpool-compose-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        path = ENGINE[len("unix://"):]
        names = ("KAFKA_PORT", "METRICS_PORT", "KAFKA_SECURE_PORT", "METRICS_SECURE_PORT")
        cls.settings = {**dict(zip(names, free_ports(4))), "COMPOSE_PROJECT_NAME": cls.project, "HOST_NAME": cls.project,
                        "DOCKER_SOCKET": path, "DOCKER_GID": str(os.stat(path).st_gid), "WORKER_IMAGE": "warmpool:compose-test",
                        "SECRETS_DIR": f"{cls.folder}/secrets"}
        cls.words = compose_command()
        cls.take_down = (*cls.words, "--profile", "secure", "down", "-v", "-t", "20")
        # Also when this process is killed: what reads its standard input to the end takes down what is left.
        keeper = subprocess.Popen(["sh", "-c", 'cat >/dev/null; exec "$@" >/dev/null 2>&1', "-", *cls.take_down], cwd=ROOT, stdin=subprocess.PIPE,
                                  env={**os.environ, **cls.settings}, start_new_session=True)
        cls.addClassCleanup(keeper.wait)
        cls.addClassCleanup(keeper.stdin.close)
        cls.run_in_root(*cls.words, "build", "worker", timeout=600)

    def setUp(self):
        self.addCleanup(self.run_in_root, *self.take_down, check=False)

    @classmethod
    def run_in_root(cls, *command, check=True, timeout=WAIT_LIMIT, more=None):
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **cls.settings, **(more or {})}, check=False, capture_output=True, text=True,
                              timeout=timeout)
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-5000:]}")
        return done.stdout + done.stderr

    def compose(self, *words, check=True, more=None):
        """more: settings beside those of all."""
        return self.run_in_root(*self.words, *words, check=check, more=more, timeout=300)  # `up` waits until Kafka is healthy

    def container_of(self, service):
        (found,) = [each["Id"] for each in labelled(f"com.docker.compose.project={self.project}")
                    if each["Labels"]["com.docker.compose.service"] == service]
        return found

    def wait_healthy(self, *services):
        def states():
            return [(each["Labels"]["com.docker.compose.service"], each["Status"])
                    for each in labelled(f"com.docker.compose.project={self.project}")]

        def logs():
            return self.compose("--profile", "secure", "logs", "--tail", "20", check=False)[-5000:]
        wait_until(lambda: sorted(name for name, _ in states()) == sorted(services) and all("(healthy)" in status for _, status in states()),
                   lambda: f"{services} are healthy: {states()}\n{logs()}")

    def expect_nothing_left(self):
        """Neither Compose's containers nor a worker's, no network and no volume."""
        self.assertEqual([each["Labels"] for each in labelled("io.warmpool.host") if each["Labels"]["io.warmpool.host"].startswith(self.project)], [])
        self.assertEqual(labelled(f"com.docker.compose.project={self.project}"), [])
        for kind in "networks", "volumes":
            found = json.loads(engine("get", f"/{kind}"))
            names = [each["Name"] for each in (found["Volumes"] or [] if kind == "volumes" else found)]
            self.assertEqual([name for name in names if self.project in name], [], kind)

    def readme_example(self, client):
        """Runs README's Python example with these properties of a client in the place of its own address; what it printed."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (text,) = re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S)
        properties = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in client.items())
        text = text.replace('"bootstrap.servers": "localhost:9092"', properties)
        self.assertIn(properties, text)
        path = f"{self.folder}/publish.py"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return self.run_in_root(sys.executable, "-B", path)

    def metrics(self, port):
        with urllib.request.urlopen(f"http://localhost:{self.settings[port]}/metrics", timeout=30) as answer:
            return answer.read().decode()

    def readyz(self):
        try:
            with urllib.request.urlopen(f"http://localhost:{self.settings['METRICS_PORT']}/readyz", timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return ""

    def expect_warm_start(self, client, metrics_port):
        wait_until(lambda: re.search(r'^warmpool_pool_available\{philosophy="react"\} [1-9]', self.metrics(metrics_port), re.M),
                   lambda: self.metrics(metrics_port))
        printed = self.readme_example(client)
        self.assertIn("'status': 'assigned'", printed)
        self.assertIn("'warm_start': True", printed)

    def broker(self):
        return f"kafka.bootstrap.servers=localhost:{self.settings['KAFKA_PORT']}"

    def answers(self):
        tail = subprocess.run([WARMPOOL, "tail", "-o", self.broker(), "--from-beginning", "--until-end", "container-assignment"], check=True,
                              capture_output=True, text=True)
        return [json.loads(line)["value"] for line in tail.stdout.splitlines()]

    def acquire(self, request, **fields):
        """Its answer."""
        event = {"request_id": request, "agent_id": "a", "philosophy": "react", **fields}
        subprocess.run([WARMPOOL, "send", "-o", self.broker(), "container-acquire"], check=True, input=json.dumps(event), capture_output=True, text=True)
        return wait_until(lambda: next((each for each in self.answers() if each["request_id"] == request), None), f"{request} is answered")

    def expect_claim_is_taken(self):
        given = self.acquire("claims-1", claim={"token": "s3cret"})
        self.assertEqual(given["status"], "assigned", given)
        read = [ROOT / "tests/support/engine", "run", given["container_id"], "cat", "/run/warmpool/claim.json"]
        self.assertIn('{"token":"s3cret"}', subprocess.run(read, check=True, capture_output=True, text=True).stdout)

    def test_a_client_outside_gets_a_warm_container_and_down_leaves_none(self):
        self.compose("up", "-d")
        self.wait_healthy("kafka", "redis", "worker")
        self.expect_warm_start({"bootstrap.servers": f"localhost:{self.settings['KAFKA_PORT']}"}, "METRICS_PORT")
        self.expect_claim_is_taken()
        self.compose("down", "-v")
        self.expect_nothing_left()

    def test_more_workers_leave_the_first_one_and_its_leases_alone(self):
        def first():
            seen = json.loads(engine("get", f"/containers/{self.container_of('worker')}/json"))
            return seen["Id"], seen["State"]["StartedAt"]
        self.compose("up", "-d")
        self.wait_healthy("kafka", "redis", "worker")
        given = self.acquire("r-1")
        self.assertEqual(given["status"], "assigned", given)
        before = first()
        self.compose("up", "-d", more={"MORE_WORKERS": "2"})
        self.wait_healthy("kafka", "redis", "worker", "more-workers", "more-workers")
        self.assertEqual(first(), before)

        def up():
            hosts = json.loads(self.compose("exec", "-T", "worker", "warmpool", "hosts", "--json"))["hosts"]
            return [name for name, host in hosts.items() if host["state"] == "up" and name.startswith(self.project)]
        wait_until(lambda: len(up()) == 3, up)
        self.assertTrue(json.loads(engine("get", f"/containers/{given['container_id']}/json"))["State"]["Running"])
        self.assertEqual([each["status"] for each in self.answers() if each["request_id"] == "r-1"], ["assigned"], "its lease is not lost")
        self.compose("down", "-v")
        self.expect_nothing_left()

    def test_a_worker_that_may_not_use_the_engine_is_not_healthy_and_says_what_to_set(self):
        def checks():
            return json.loads(engine("get", f"/containers/{self.container_of('worker')}/json"))["State"]["Health"]
        wrong = {"DOCKER_GID": "65533"}
        self.compose("up", "-d", more=wrong)
        wait_until(lambda: "DOCKER_GID" in self.readyz(), self.readyz)
        count = len(checks()["Log"])
        wait_until(lambda: len(checks()["Log"]) >= min(count + 2, 5), checks)
        self.assertNotIn(0, [each["ExitCode"] for each in checks()["Log"]])
        self.assertNotEqual(checks()["Status"], "healthy")

    def test_the_secure_profile_serves_who_has_its_secrets_and_nobody_else(self):
        self.run_in_root("compose/certificates")
        self.compose("--profile", "secure", "up", "-d", "worker-secure")
        self.wait_healthy("kafka-secure", "redis-secure", "worker-secure")
        ini = configparser.ConfigParser(interpolation=None)
        ini.read(f"{self.settings['SECRETS_DIR']}/client/warmpool.ini")
        client = dict(ini["kafka"])
        self.expect_warm_start(client, "METRICS_SECURE_PORT")
        for wrong in ({"bootstrap.servers": client["bootstrap.servers"]}, {**client, "sasl.password": "guessed"},
                      {name: value for name, value in client.items() if name != "ssl.ca.location"}):
            with self.assertRaises(KafkaException, msg=wrong):
                Producer({**wrong, "log_level": 0}).list_topics(timeout=5)
        over_tls = ["redis-cli", "--tls", "--cacert", "/etc/redis/secrets/ca.pem"]
        for words, refusal in ((["redis-cli", "ping"], "onnection"), ([*over_tls, "ping"], "NOAUTH"),
                               ([*over_tls, "--user", "warmpool", "--pass", "warmpool", "ping"], "WRONGPASS")):
            self.assertIn(refusal, self.compose("--profile", "secure", "exec", "-T", "redis-secure", *words, check=False))
        self.compose("--profile", "secure", "down", "-v")
        self.expect_nothing_left()

    def test_the_image_is_small_above_its_base(self):
        def megabytes(image):
            return int(self.run_in_root("docker", "image", "inspect", "--format", "{{.Size}}", image)) / 1e6
        self.assertLess(megabytes(self.settings["WORKER_IMAGE"]) - megabytes("debian:trixie-slim"), 120)

    def test_secrets_are_closed_to_other_users_and_not_overwritten(self):
        secrets = f"{self.folder}/other"
        environment = {**os.environ, "SECRETS_DIR": secrets}

        def make(*names):
            return subprocess.run([ROOT / "compose/certificates", *names], env=environment, check=False, capture_output=True, text=True)
        made = make("kafka.example.org", "192.0.2.7")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(os.stat(secrets).st_mode & 0o777, 0o700)
        for service, name in (("kafka", "kafka/keystore.pem"), ("redis", "redis/certificate.pem")):
            verified = subprocess.run(["openssl", "verify", "-CAfile", f"{secrets}/{service}/ca.pem", "-verify_hostname",
                                       f"{service}-secure", f"{secrets}/{name}"], check=False, capture_output=True, text=True)
            self.assertEqual(verified.returncode, 0, verified.stderr)
        named = subprocess.run(["openssl", "x509", "-in", f"{secrets}/kafka/keystore.pem", "-noout", "-ext", "subjectAltName"], check=True,
                               capture_output=True, text=True).stdout
        self.assertIn("DNS:kafka.example.org, IP Address:192.0.2.7", named)
        again = make()
        self.assertEqual(again.returncode, 1)
        self.assertIn("is there already", again.stderr)


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"skipped: these tests need {reason}", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
