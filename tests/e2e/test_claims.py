"""A claim is nowhere once its container has it, but in the container, in the acquire's topic and in Redis' append-only file."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from client import Client
from system import System, WARMPOOL, wait_until

SECRET = "s3cret-of-the-agent-0123456789"


class Claims(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.system = System(start=False)
        cls.addClassCleanup(cls.system.close)
        cls.worker = cls.system.workers[0]
        cls.worker.options["host.claims"] = cls.claims = os.path.join(cls.system.dir, "claims")
        cls.system.start()
        cls.client = Client(cls.system)

    def keys_with(self, secret):
        redis = self.system.redis.client
        redis.config_set("rdbcompression", "no")  # else DUMP may hide it
        return [key for key in redis.scan_iter() if secret.encode() in (redis.dump(key) or b"")]

    def bind(self, request_id, secret, **more):
        return self.client.acquire(request_id, claim={"token": secret}, **more)

    def test_redis_has_it_while_the_request_waits_and_forgets_it_with_every_end(self):
        self.assertEqual(self.bind("r-1", SECRET)["status"], "assigned")
        self.assertEqual(self.keys_with(SECRET), [], "bound")
        self.client.send("container-acquire", {"request_id": "r-2", "agent_id": "a", "philosophy": "react", "timeout_ms": 1500,
                                               "requirements": {"memory_mb": 16000.0}, "claim": {"token": SECRET + "-2"}})
        self.client.wait("container-assignment", lambda r: r["request_id"] == "r-2")
        self.assertEqual(self.keys_with(SECRET), [], "bound or rejected")

    def test_the_shipped_redis_keeps_no_arguments_of_calls_that_were_slow(self):
        slow = "local i = 0; while i < 3000000 do i = i + 1 end"
        self.assertEqual(self.system.redis.client.eval(slow, 0, SECRET), None)
        self.assertEqual([entry for entry in self.system.redis.client.slowlog_get(1000) if SECRET.encode() in entry["command"]], [])

    def test_the_file_is_gone_with_a_release_that_destroys_with_a_death_and_with_an_expiry(self):
        for number, end in enumerate(("release", "death", "expiry")):
            given = self.bind(f"e-{number}", SECRET, **({"lease_ms": 1000} if end == "expiry" else {}))
            file = os.path.join(self.claims, "w1", given["container_id"], "claim.json")
            if end == "release":
                self.client.send("container-release", {"request_id": f"e-{number}", "philosophy": "react", "reuse": False})
            elif end == "death":
                os.kill(int(given["address"].removeprefix("pid:")), 9)
            wait_until(lambda: not os.path.exists(file), f"the file is gone after the {end}")

    @unittest.skipUnless(os.geteuid() == 0, "only root may start a worker as another user")
    def test_processes_of_its_own_user_cannot_read_the_workers_memory(self):
        folder = tempfile.mkdtemp(prefix="warmpool-claims-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        binary = shutil.copy(WARMPOOL, folder)
        log = os.path.join(folder, "log")
        with open(log, "wb") as out:
            worker = subprocess.Popen([binary, "worker", "-o", "kafka.bootstrap.servers=127.0.0.1:1", "-o", "redis.url=redis://127.0.0.1:1",
                                       "-o", "http.listen="], stdout=out, stderr=out, user=65534, group=65534, extra_groups=[])
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)

        def started():
            with open(log, encoding="utf-8") as text:
                return re.search(r"event=started\b", text.read())
        wait_until(started, "it has started")
        read = subprocess.run(["head", "-c", "1", f"/proc/{worker.pid}/environ"], user=65534, group=65534, extra_groups=[],
                              capture_output=True, text=True, check=False)
        self.assertIn("Permission denied", read.stderr)


if __name__ == "__main__":
    unittest.main()
