"""What every example is tested for: `Runner.checks` runs the example's command against a real system, and judges it by the topics."""
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from confluent_kafka import TopicPartition  # noqa: E402

from client import Client  # noqa: E402
from system import WAIT_LIMIT, System, die_with_parent, wait_until  # noqa: E402

SKIPPED = 77  # as tests/CMakeLists.txt says it to ctest
CACHE = Path(os.environ.get("TEST_CACHE", ROOT / ".cache"))


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


@contextlib.contextmanager
def alone(name):
    """One test at a time builds in a folder of the cache."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Run:
    """One run of an example: its process, and what it has printed."""

    def __init__(self, command, folder, environment):
        self.out = tempfile.NamedTemporaryFile("w+", prefix="warmpool-example-")
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
                                        preexec_fn=die_with_parent)

    def text(self):
        with open(self.out.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self):
        return self.process.wait(WAIT_LIMIT)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Language:
    """How an example is built and run, with unittest.TestCase: `command` in `folder`, with what `environment` adds."""
    command, folder, environment = (), ROOT, {}
    wire = "json"

    @classmethod
    def build(cls):
        """Makes what `command` starts."""

    def start(self, job, command="echo $WARMPOOL_CONTAINER_ID", **more):
        settings = {"KAFKA": self.system.kafka.bootstrap, "TOPICS_PREFIX": self.system.prefix, "JOB_ID": job, "COMMAND": command,
                    "GRACE_MS": "60000", **more}
        run = Run(self.command, self.folder, {**os.environ, **self.environment, **settings})
        self.addCleanup(run.kill)
        return run

    def finished(self, run, status=0):
        self.assertEqual(run.wait(), status, run.text())


class Runner:
    """What an example does, judged from the topics; with a Language."""

    @classmethod
    def setUpClass(cls):
        cls.build()
        cls.system = System(start=False, wire=cls.wire, options=cls.options())
        cls.addClassCleanup(cls.system.close)
        cls.agents = os.path.join(cls.system.dir, "agents")
        cls.environment = {**cls.environment, "AGENTS": cls.agents}
        cls.system.workers[0].options["process.command"] = f"exec '{sys.executable}' -B '{ROOT}/examples/agent/agent.py' '{cls.agents}'"
        cls.system.start()
        cls.client = Client(cls.system, wire="json")

    @classmethod
    def options(cls):
        return {"process.ready": "notify", "pool.max_containers": 1, "pool.size": 1, "topics.partitions": 2}

    def all(self, topic):
        """All records that the topic has by now."""
        known = self.client.read(topic)
        name = self.system.prefix + topic
        partitions = self.client.consumer.list_topics(name, WAIT_LIMIT).topics[name].partitions
        there = sum(self.client.consumer.get_watermark_offsets(TopicPartition(name, number))[1] for number in partitions)
        wait_until(lambda: len(self.client.read(topic)) >= there, lambda: f"{len(known)} of {there} records of {topic} are read")
        return known

    def records(self, topic, request_id):
        return [record for record in self.all(topic) if record.get("request_id") == request_id]

    def wait_for(self, topic, run, **fields):
        """The first record with these fields; fails when the run ends without it."""
        def found():
            for record in self.client.read(topic):
                if all(record.get(name) == value for name, value in fields.items()):
                    return record
            if run.process.poll() not in (None, 0):
                raise AssertionError(f"it ended with {run.process.returncode} before {fields} on {topic}:\n{run.text()}")
            return None
        return wait_until(found, lambda: f"{fields} on {topic}; it printed:\n{run.text()}")

    # --- the checks

    def test_1_a_job_is_assigned_used_reported_cached_and_released(self):
        job = f"job-{uuid.uuid4().hex[:8]}"
        first = self.start(job)
        self.finished(first)
        given = self.records("container-assignment", job)
        self.assertEqual([record["status"] for record in given], ["assigned"])
        self.assertIn(f"output: {given[0]['container_id']}\n", first.text(), "the job did not run in its container")
        usage = self.wait_for("usage-record", first, record_id=job)
        self.assertGreater(usage["execution_time"], 0)
        self.assertGreater(usage["memory_usage_mb"], 0)
        self.assertEqual(self.client.wait("prediction")["philosophy"], "react")
        self.assertEqual(len(self.records("container-release", job)), 1)
        self.system.wait_pool("react", leased=0, available=1)
        second = self.start(job + "-b")
        self.finished(second)
        self.assertTrue(self.records("container-assignment", job + "-b")[0]["warm_start"])
        results = self.client.wait_all("cache-result", count=3)
        self.assertEqual([(r["op"], r["namespace"], r["key"], r.get("reason")) for r in results],
                         [("get", "tool", "shell", None), ("set", "tool", "shell", None), ("get", "tool", "shell", None)])
        self.assertEqual([r["hit"] for r in results if r["op"] == "get"], [False, True])
        self.assertFalse(self.all("dead-letter"))

    def test_2_a_killed_container_is_lost_and_the_job_runs_again(self):
        job = f"lost-{uuid.uuid4().hex[:8]}"
        retried = Path(self.system.dir, job)
        run = self.start(job, f"test -e '{retried}' || sleep 100; echo $WARMPOOL_CONTAINER_ID")
        given = self.wait_for("container-assignment", run, request_id=job, status="assigned")
        wait_until(lambda: "tool metadata" in run.text(), run.text)
        retried.touch()  # the second attempt does not wait
        os.kill(int(given["address"].removeprefix("pid:")), signal.SIGKILL)
        self.finished(run)
        lost = self.wait_for("container-assignment", run, request_id=job, status="lost")
        self.assertTrue(lost["reason"].startswith("container_died"), lost["reason"])
        self.assertIn("lost: container_died", run.text())
        again = self.records("container-assignment", job + ".2")
        self.assertEqual([record["status"] for record in again], ["assigned"])
        self.assertIn(f"output: {again[0]['container_id']}\n", run.text())
        self.assertEqual(len(self.records("container-release", job + ".2")), 1)
        self.assertEqual(self.records("container-release", job), [], "a lost lease was released")
        self.assertFalse(self.all("dead-letter"))

    def test_3_a_full_pool_rejects(self):
        holder, job = f"holder-{uuid.uuid4().hex[:8]}", f"full-{uuid.uuid4().hex[:8]}"
        held = self.client.acquire(holder, wire="json")
        self.assertEqual(held["status"], "assigned")
        run = self.start(job, TIMEOUT_MS="500", ATTEMPTS="2")
        self.finished(run, 3)
        answers = self.records("container-assignment", job)
        self.assertEqual([record["status"] for record in answers], ["rejected"])
        self.assertTrue(answers[0]["reason"].startswith("timeout"), answers[0]["reason"])
        self.assertIn(f"rejected: {answers[0]['reason']}", run.text())
        self.client.send("container-release", {"request_id": holder, "philosophy": "react"})
        self.system.wait_pool("react", leased=0)

    def test_4_a_restarted_runner_goes_on_with_its_lease(self):
        job = f"again-{uuid.uuid4().hex[:8]}"
        first = self.start(job, "sleep 100")
        self.wait_for("container-assignment", first, request_id=job, status="assigned")
        wait_until(lambda: "assigned" in first.text(), first.text)
        first.kill()
        second = self.start(job, "true")
        self.finished(second)
        given = self.records("container-assignment", job)
        self.assertEqual({record["status"] for record in given}, {"assigned"})
        self.assertEqual(len({record["lease_epoch"] for record in given}), 1, "it was given two leases")
        self.assertEqual(len({record["container_id"] for record in given}), 1)
        self.wait_for("container-release", second, request_id=job)
        self.system.wait_pool("react", leased=0)

    def test_5_nobody_answers(self):
        self.system.workers[0].kill()
        job = f"alone-{uuid.uuid4().hex[:8]}"
        run = self.start(job, TIMEOUT_MS="500", GRACE_MS="1000", ATTEMPTS="1")
        self.finished(run, 4)
        self.assertEqual(self.records("container-assignment", job), [])
        self.assertEqual(len(self.records("container-release", job)), 1, "the request was not cancelled")
