"""What is said about sentinels that are away, wrong or refuse, and whom a client believes. Kafka is not needed for it."""
import contextlib
import shutil
import socketserver
import subprocess
import tempfile
import threading
import unittest

from replicated import NAME, Replicated
from system import WARMPOOL


class Liar(socketserver.ThreadingTCPServer):
    """A sentinel whose configuration is another one: it names this port, with this epoch."""
    allow_reuse_address = daemon_threads = True

    def __init__(self, port, epoch):
        self.named, self.epoch = port, epoch
        super().__init__(("127.0.0.1", 0), LiarSays)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class LiarSays(socketserver.StreamRequestHandler):
    def words(self):
        line = self.rfile.readline()
        return [self.word() for _ in range(int(line[1:]))] if line.startswith(b"*") else []

    def word(self):
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2].decode().lower()

    def array(self, *words):
        return f"*{len(words)}\r\n" + "".join(f"${len(str(word))}\r\n{word}\r\n" for word in words)

    def handle(self):
        while words := self.words():
            if words[:2] == ["sentinel", "get-master-addr-by-name"]:
                answer = self.array("127.0.0.1", self.server.named)
            elif words[0] == "sentinel":
                answer = self.array("name", NAME, "config-epoch", self.server.epoch)
            else:
                answer = "+OK\r\n"
            self.wfile.write(answer.encode())


class Sentinels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="warmpool-sentinels-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.redis = Replicated(folder)
        cls.addClassCleanup(cls.redis.close)

    def run_with(self, subcommand, url=None, **options):
        options = {"redis.url": url or self.redis.url, **self.redis.options, "kafka.bootstrap.servers": "127.0.0.1:1",
                   **{key.replace("__", "."): value for key, value in options.items()}}
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        ended = subprocess.run([WARMPOOL, subcommand, *words], check=False, capture_output=True, text=True)
        return ended.stdout + ended.stderr

    def says(self, *words, **options):
        """What `warmpool status` complains of: it asks Redis only."""
        return self.run_with("status", *words, **options)

    def connects(self, *words, **options):
        self.assertRegex(self.says(*words, **options), "does not have the function wp_pool_stats")  # a worker loads it

    @contextlib.contextmanager
    def liars(self, *named):
        servers = [Liar(port, epoch) for port, epoch in named]
        try:
            yield [f"127.0.0.1:{server.server_address[1]}" for server in servers]
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()

    def url(self, *sentinels):
        return f"redis-sentinel://warmpool:warmpool@{','.join(sentinels)}/{NAME}"

    def real(self, count):
        return [f"127.0.0.1:{sentinel.port}" for sentinel in self.redis.sentinels[:count]]

    def test_the_primary_is_found(self):
        self.connects()
        self.connects(self.url(*self.real(1)))
        self.connects(self.redis.url + "/0")

    def test_another_database_is_selected(self):
        self.assertIn("refuses database 99: ERR DB index is out of range", self.says(self.redis.url + "/99"))

    def test_some_of_them_away(self):
        self.connects(self.url("127.0.0.1:1", "none.invalid", *self.real(1)))

    def test_all_of_them_away(self):
        self.assertRegex(self.says(self.url("127.0.0.1:1", "127.0.0.1:2")),
                         r"sentinel 127.0.0.1:1 \(likewise 127.0.0.1:2\) does not answer: Connection refused")

    def test_a_name_that_they_do_not_know(self):
        self.assertRegex(self.says(self.redis.url.replace(NAME, "nobody")), "knows no primary named nobody .*; it knows orders")

    def test_the_password_of_the_sentinels_and_that_of_redis_are_told_apart(self):
        self.assertRegex(self.says(redis__sentinel__password="wrong"),
                         r"refuses redis\.sentinel\.user or redis\.sentinel\.password .*WRONGPASS")
        self.assertRegex(self.says(redis__sentinel__user="", redis__sentinel__password=""),
                         r"wants a password: give it as redis\.sentinel\.password")
        self.assertRegex(self.says(self.redis.url.replace(":warmpool@", ":wrong@")),
                         r"primary, which refuses the user or password of the URL .*WRONGPASS")
        self.assertRegex(self.says(self.redis.url.replace("warmpool:warmpool@", "")), "wants a user and a password: write them into the URL")

    def test_redis_itself_in_the_place_of_a_sentinel(self):
        self.assertIn("is no sentinel but perhaps Redis itself",
                      self.says(self.url(f"127.0.0.1:{self.redis.first}"), redis__sentinel__user="test", redis__sentinel__password="test-word"))

    def test_one_that_names_a_dead_primary(self):
        with self.liars((1, 0)) as old:
            self.assertRegex(self.says(self.url(*old)), "the sentinels name 127.0.0.1:1 as the primary, which does not answer: Connection refused")
            self.connects(self.url(*old, *self.real(1)))  # as often as it is not newer
        with self.liars((1, 99)) as newer:
            self.connects(self.url(*newer, *self.real(2)))  # most of them say otherwise

    def test_one_that_names_a_replica(self):
        replica = self.redis.servers[1].port
        with self.liars((replica, 99)) as wrong:
            self.assertIn("which says of itself that it is a replica", self.says(self.url(*wrong)))
            self.connects(self.url(*wrong, *self.real(2)))

    def test_an_older_configuration_does_not_win_over_a_newer_one_whose_primary_is_away(self):
        with self.liars((1, 99)) as newer:
            self.assertIn("127.0.0.1:1 as the primary, which does not answer", self.says(self.url(*newer, *self.real(1))))

    def test_check_says_what_each_of_them_says_and_what_a_switch_may_lose(self):
        self.redis.client.config_set("min-replicas-to-write", 0)
        self.addCleanup(self.redis.client.config_set, "min-replicas-to-write", 1)
        with self.liars((1, 0)) as old:
            said = self.run_with("check", self.url("127.0.0.1:1", *old, *self.real(2)), redis__wait_replicas=3)
        self.assertRegex(said, "warn redis sentinel 127.0.0.1:1 does not answer: Connection refused")
        self.assertRegex(said, rf"warn redis sentinel {old[0]} names 127.0.0.1:1 as the primary of orders, the others 127.0.0.1:{self.redis.first};")
        self.assertRegex(said, rf"ok   redis sentinel {self.real(1)[0]} names 127.0.0.1:{self.redis.first} as the primary of orders")
        self.assertRegex(said, "warn redis switch +min-replicas-to-write is 0 at the primary")
        self.assertRegex(said, r"FAIL redis\.url +redis\.wait_replicas is 3, but only 2 replicas")

    def test_check_says_when_fewer_than_all_replicas_are_waited_for(self):
        said = self.run_with("check", redis__wait_replicas=1)
        self.assertRegex(said, r"warn redis switch +redis\.wait_replicas is 1 and 2 replicas follow the primary: nothing is forgotten when it dies")
        self.assertNotIn("warn redis switch", self.run_with("check", redis__wait_replicas=2))


if __name__ == "__main__":
    unittest.main()
