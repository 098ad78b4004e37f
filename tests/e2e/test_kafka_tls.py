"""Kafka over TLS that wants clients' certificates: a worker with one works, and what is wrong is said."""
import shutil
import subprocess
import tempfile
import unittest

from certificates import Certificates
from system import WARMPOOL, Kafka, System


class KafkaWithCertificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="warmpool-tls-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        made = cls.made = Certificates(folder)
        made.authority("ours")
        made.authority("other")
        made.certificate("server", "DNS:localhost,IP:127.0.0.1")
        made.certificate("client", "DNS:worker")
        made.certificate("stranger", "DNS:worker", authority="other")
        with open(made.file("keystore.pem"), "w", encoding="utf-8") as store:
            for name in ("server.key", "server.pem"):
                with open(made.file(name), encoding="utf-8") as part:
                    store.write(part.read())
        cls.kafka = Kafka(protocol="SSL", properties=f"ssl.keystore.type=PEM\nssl.keystore.location={made.file('keystore.pem')}\n"
                          f"ssl.truststore.type=PEM\nssl.truststore.location={made.file('ours.pem')}\nssl.client.auth=required\n")
        cls.addClassCleanup(cls.kafka.close)

    def options(self, client="client", authority="ours"):
        own = {"kafka.ssl.certificate.location": self.made.file(f"{client}.pem"), "kafka.ssl.key.location": self.made.file(f"{client}.key")}
        return {"kafka.bootstrap.servers": self.kafka.bootstrap, "kafka.security.protocol": "SSL",
                "kafka.ssl.ca.location": self.made.file(f"{authority}.pem"), **(own if client else {})}

    @staticmethod
    def check(options):
        """Begins `warmpool check`; what it says of Kafka is known ten seconds later."""
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return subprocess.Popen([WARMPOOL, "check", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def test_a_worker_with_a_certificate_is_ready(self):
        with System(options={**self.options(), "metrics.interval": 3600}, kafka=self.kafka) as system:
            self.assertIn("ok   kafka ", system.cli("check").stdout)

    def test_what_is_wrong_is_said(self):
        not_taken = r"Kafka does not take this client's certificate: set kafka\.ssl\.certificate\.location"
        for checking, pattern in [
                (self.check(self.options(client=None)), not_taken),
                (self.check(self.options(client="stranger")), not_taken),
                (self.check(self.options(authority="other")), r"Kafka's certificate is not of an authority in kafka\.ssl\.ca\.location"),
                (self.check({"kafka.bootstrap.servers": self.kafka.bootstrap}), r"kafka\.security\.protocol is not that of Kafka's listener"),
                (self.check({**self.options(), "kafka.ssl.key.location": self.made.file("server.key")}), r"ssl\.key\.location failed: .*mismatch"),
        ]:
            self.assertRegex(checking.communicate()[0], "FAIL kafka .*" + pattern)


if __name__ == "__main__":
    unittest.main()
