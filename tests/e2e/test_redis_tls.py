"""Redis over TLS: certificates of both sides are checked, and what is wrong is said. Kafka is not needed for it."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from certificates import Certificates
from docker_system import SKIPPED
from system import WARMPOOL, die_with_parent, wait_until

NOWHERE = ["-o", "kafka.bootstrap.servers=127.0.0.1:1"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisOverTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="warmpool-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        made = Certificates(cls.folder)
        cls.file = made.file
        made.authority("ours")
        made.authority("other")
        made.certificate("server", "DNS:localhost")
        made.certificate("client", "DNS:worker")
        cls.port = free_port()
        command = ["redis-server", "--port", "0", "--tls-port", str(cls.port), "--bind", "127.0.0.1", "--tls-cert-file", cls.file("server.pem"),
                   "--tls-key-file", cls.file("server.key"), "--tls-ca-cert-file", cls.file("ours.pem"), "--tls-auth-clients", "yes",
                   "--dir", cls.folder, "--logfile", cls.file("redis.log")]
        cls.redis = subprocess.Popen(command, preexec_fn=die_with_parent)
        cls.addClassCleanup(cls.redis.wait)
        cls.addClassCleanup(cls.redis.kill)

        def ready():
            with open(cls.file("redis.log"), encoding="utf-8") as log:
                return "Ready to accept connections" in log.read()
        wait_until(lambda: os.path.exists(cls.file("redis.log")) and ready(), "redis-server is ready")

    def options(self, host="localhost", **changed):
        options = {"url": f"rediss://{host}:{self.port}", "tls_ca": self.file("ours.pem"), "tls_cert": self.file("client.pem"),
                   "tls_key": self.file("client.key"), **changed}
        return [word for key, value in options.items() for word in ("-o", f"redis.{key}={value}")]

    def connect(self, *words, **changed):
        """What `warmpool status` complains of: it asks Redis only."""
        return subprocess.run([WARMPOOL, "status", *self.options(*words, **changed)], check=False, capture_output=True, text=True).stderr

    def test_one_whose_certificate_is_of_its_name_is_used(self):
        self.assertRegex(self.connect(), "^$|does not have the function wp_pool_stats")  # a worker loads it

    def test_a_worker_is_ready_with_it(self):
        with open(self.file("worker.log"), "w", encoding="utf-8") as log:
            worker = subprocess.Popen([WARMPOOL, "worker", *NOWHERE, "-o", "http.listen=127.0.0.1:0", *self.options()], stdout=log, stderr=log,
                                      preexec_fn=die_with_parent)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)

        def said():
            with open(self.file("worker.log"), encoding="utf-8") as log:
                return log.read()
        wait_until(lambda: "event=redis_ready slot=pool" in said(), said)

    def test_one_whose_certificate_is_of_another_name_is_refused(self):
        self.assertRegex(self.connect("127.0.0.1"), "TLS with Redis failed: .*certificate")

    def test_one_of_another_authority_is_refused(self):
        self.assertRegex(self.connect(tls_ca=self.file("other.pem")), "TLS with Redis failed: .*certificate")

    def test_it_refuses_who_has_no_certificate(self):
        self.assertRegex(self.connect(tls_cert="", tls_key=""), r"name one in redis\.tls_cert|certificate required|TLS with Redis failed")

    def test_a_file_that_cannot_be_used_is_named(self):
        self.assertRegex(self.connect(tls_ca=self.file("none.pem")), r"redis\.tls_ca: .*none\.pem cannot be used")
        self.assertRegex(self.connect(tls_key=self.file("server.key")), r"redis\.tls_key: .*server\.key cannot be used.*mismatch")


if __name__ == "__main__":
    probe = subprocess.run([WARMPOOL, "status", "-o", "redis.url=rediss://localhost:1"], check=False, capture_output=True, text=True)
    if "hiredis has none" in probe.stdout + probe.stderr:
        print("skipped: these tests need a build whose hiredis has TLS (hiredis_ssl, and OpenSSL)", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
