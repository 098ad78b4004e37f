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
        self.check_ready()

    def check_ready(self, **changed):
        with open(self.file("worker.log"), "w", encoding="utf-8") as log:
            worker = subprocess.Popen([WARMPOOL, "worker", *NOWHERE, "-o", "http.listen=127.0.0.1:0", *self.options(**changed)], stdout=log,
                                      stderr=log, preexec_fn=die_with_parent)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)

        def said():
            with open(self.file("worker.log"), encoding="utf-8") as log:
                return log.read()
        wait_until(lambda: "event=redis_ready slot=pool" in said(), said)

    def test_its_sentinel_is_asked_over_tls_too(self):
        port = free_port()
        with open(self.file("sentinel.conf"), "w", encoding="utf-8") as conf:
            conf.write(f"port 0\ntls-port {port}\nbind 127.0.0.1\ndir {self.folder}\nlogfile {self.file('sentinel.log')}\ntls-replication yes\n"
                       f"tls-cert-file {self.file('server.pem')}\ntls-key-file {self.file('server.key')}\ntls-ca-cert-file {self.file('ours.pem')}\n"
                       "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n"  # the certificate is for this name
                       f"sentinel monitor orders localhost {self.port} 1\n")
        sentinel = subprocess.Popen(["redis-server", self.file("sentinel.conf"), "--sentinel"], preexec_fn=die_with_parent)
        self.addCleanup(sentinel.wait)
        self.addCleanup(sentinel.kill)
        url = f"rediss-sentinel://localhost:{port}/orders"
        wait_until(lambda: "does not answer" not in self.connect(url=url), "the sentinel answers")
        self.assertRegex(self.connect(url=url), "^$|does not have the function wp_pool_stats")
        self.check_ready(url=url)
        self.assertRegex(self.connect(url=url, tls_ca=self.file("other.pem")), rf"sentinel localhost:{port} TLS with Redis failed: .*certificate")
        self.assertRegex(self.connect(url=url, tls_cert="", tls_key=""), rf"sentinel localhost:{port} .*(redis\.tls_cert|certificate required|TLS)")

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
