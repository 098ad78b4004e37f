"""Kafka with SASL OAUTHBEARER: tokens are got from an issuer, renewed while a worker is idle, and what is wrong is said."""
import subprocess
import unittest
import uuid

from confluent_kafka import Producer

from client import encode
from issuer import CLIENT, SECRET, Issuer
from system import WARMPOOL, Kafka, System, wait_until

# A broker ends connections whose token has expired (connections.max.reauth.ms), as Confluent Cloud and others do.
NODE = """
sasl.enabled.mechanisms=PLAIN,OAUTHBEARER
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
 username="admin" password="admin" user_admin="admin";
listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=\\
 org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="admin" unsecuredValidatorAllowableClockSkewMs="1000";
listener.name.sasl_plaintext.oauthbearer.connections.max.reauth.ms=60000
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS;User:warmpool
"""


class OauthBearer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = Kafka(protocol="SASL_PLAINTEXT", properties=NODE)
        cls.addClassCleanup(cls.kafka.close)

    def setUp(self):
        self.issuer = Issuer()
        self.addCleanup(self.issuer.close)

    def options(self, **changed):
        return {"kafka.bootstrap.servers": self.kafka.bootstrap, "kafka.security.protocol": "SASL_PLAINTEXT",
                "kafka.sasl.mechanism": "OAUTHBEARER", "kafka.sasl.oauthbearer.method": "oidc",
                "kafka.sasl.oauthbearer.token.endpoint.url": self.issuer.url, "kafka.sasl.oauthbearer.client.id": CLIENT,
                "kafka.sasl.oauthbearer.client.secret": SECRET, "kafka.sasl.oauthbearer.scope": "kafka read",
                **{f"kafka.sasl.oauthbearer.{key.replace('__', '.')}": value for key, value in changed.items()}}

    def check(self, **changed):
        """Begins `warmpool check`; what it says of Kafka is known ten seconds later."""
        words = [word for key, value in self.options(**changed).items() for word in ("-o", f"{key}={value}")]
        return subprocess.Popen([WARMPOOL, "check", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def says(self, checking, pattern):
        said = checking.communicate()[0]
        self.assertRegex(said, pattern)
        self.assertNotIn(SECRET, said)
        self.assertNotIn("wrong-word", said)

    def system(self):
        system = System(options={**self.options(), "metrics.interval": 3600}, start=False, kafka=self.kafka)
        self.addCleanup(system.close)
        return system

    def acquire(self, system):
        """A request that a worker answers; it is read with the user of the broker itself."""
        admin = {"bootstrap.servers": self.kafka.bootstrap, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                 "sasl.username": "admin", "sasl.password": "admin"}
        request = uuid.uuid4().hex
        producer = Producer(admin)
        producer.produce(system.prefix + "container-acquire", encode("container-acquire", {
            "request_id": request, "agent_id": "a", "philosophy": "react"}, "json"))
        self.assertEqual(producer.flush(60), 0)
        wait_until(lambda: system.pool("react")["leased"] >= 1, system.workers[0].log)
        ended = system.cli("tail", "container-assignment", "--from-beginning", "--count", "1")
        return ended

    def test_a_worker_and_the_subcommands_get_tokens(self):
        system = self.system()
        system.start()
        ended = self.acquire(system)
        self.assertIn('"status": "assigned"', ended.stdout.replace('":"', '": "'), ended.stderr)
        self.assertEqual(self.issuer.asked[0], (f"{CLIENT}:{SECRET}", {"grant_type": "client_credentials", "scope": "kafka read"}))
        self.assertNotIn(SECRET, system.workers[0].log())

    def test_tokens_of_seconds_are_renewed_while_idle(self):
        self.issuer.life = 5
        system = self.system()
        system.start()
        issued = self.issuer.issued
        wait_until(lambda: self.issuer.issued >= issued + 12, lambda: f"tokens are renewed: {self.issuer.issued}")
        self.issuer.life = 3600
        self.acquire(system)
        self.assertEqual(system.workers[0].http("/readyz")[0], 200)

    def test_an_issuer_that_is_away_is_said_and_tried_again(self):
        self.issuer.answer = (503, "<html>down</html>")
        system = self.system()
        worker = system.workers[0].start()
        wait_until(lambda: "answers HTTP 503; its own log says why" in worker.log(), worker.log)
        wait_until(lambda: "answers HTTP 503" in worker.http("/readyz")[1], lambda: worker.http("/readyz"))
        self.issuer.answer = None
        worker.wait_ready()
        self.assertIn("event=kafka_token_back", worker.log())
        self.acquire(system)

    def test_what_is_wrong_is_said(self):
        garbage, short, opaque = Issuer(), Issuer(life=-100), Issuer()
        garbage.answer, opaque.answer = (200, "hello"), (200, '{"access_token": "opaque", "expires_in": 60}')
        for issuer in (garbage, short, opaque):
            self.addCleanup(issuer.close)
        prefix = r"FAIL kafka .*"
        for checking, pattern in [
                (self.check(client__secret="wrong-word"), "answers HTTP 401 invalid_client: Invalid client credentials; mend "
                 r"kafka\.sasl\.oauthbearer\.client\.id or kafka\.sasl\.oauthbearer\.client\.secret"),
                (self.check(token__endpoint__url="http://127.0.0.1:1/token"), "endpoint http://127.0.0.1:1/token does not answer: .*onnect"),
                (self.check(token__endpoint__url=garbage.url), "answers with something else than JSON with an access_token"),
                (self.check(token__endpoint__url=short.url), "gives a token that has expired already: see to the clocks"),
                (self.check(token__endpoint__url=opaque.url), r"Kafka does not take this user, or its token: mend kafka\.sasl\."),
                (self.check(token__endpoint__url="localhost"), r"wanted is https://HOST/PATH"),
                (self.check(client__id=""), r"needs kafka\.sasl\.oauthbearer\.client\.id too"),
                (self.check(extensions="logicalCluster=1,bad key=2"), "extension keys must only consist of"),
        ]:
            self.says(checking, prefix + pattern)


if __name__ == "__main__":
    unittest.main()
