"""A replicated Redis whose primary sentinels choose: real redis-server and redis-sentinel processes, with the users of
redis/users.acl and of docs/connecting.md. Takes the place of system.Redis."""
import os
import shutil
import signal
import socket
import subprocess

import redis

from system import ROOT, die_with_parent, wait_until

NAME = "orders"
# What Redis' own processes need, beside redis/users.acl (docs/connecting.md), and a user of the test.
USERS = """
user replica on >replica-word resetchannels -@all +psync +replconf +ping
user sentinel on >sentinel-word allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill
user test on >test-word ~* &* +@all
"""
# At the sentinels: they know each other as `peer`.
SENTINEL_USERS = """
user default off
user peer on >peer-word ~* &* +@all
user warmpool on >sentinels-word resetchannels -@all +auth +ping +sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters
sentinel sentinel-user peer
sentinel sentinel-pass peer-word
"""


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Ended(Exception):
    """A server did not come up: somebody else has taken its port since it was seen to be free."""


class Server:
    """One process, of Redis or a sentinel, that keeps its port when it is started again."""

    def __init__(self, port, command, user, password):
        self.port, self.command, self.process = port, command, None
        self.client = redis.Redis(host="127.0.0.1", port=port, username=user, password=password, socket_timeout=5)
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, preexec_fn=die_with_parent, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.process.poll() is not None or self.answers(), f"{self.command[0]} answers at port {self.port}")
        if self.process.poll() is not None:
            raise Ended(f"{self.command[0]} at port {self.port}")
        return self

    def answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def role(self):
        try:
            return self.client.role()[0].decode()
        except redis.exceptions.RedisError:
            return None


class Replicated:
    def __init__(self, folder, replicas=2, guarded=True, down_after_ms=1000):
        self.dir, self.down_after_ms = folder, down_after_ms
        with open(os.path.join(folder, "users.acl"), "w", encoding="utf-8") as users:
            users.write((ROOT / "redis" / "users.acl").read_text() + USERS)
        self.servers, self.sentinels = [], []
        while not self.start_servers(replicas, guarded):
            self.close()
        wait_until(lambda: self.servers[0].client.info("replication")["connected_slaves"] == replicas, "the replicas follow")
        for sentinel in self.sentinels:
            wait_until(lambda: self.knows_all(sentinel, replicas), "each sentinel knows the others and the replicas")
        self.url = f"redis-sentinel://warmpool:warmpool@{self.sentinel_addresses()}/{NAME}"

    def start_servers(self, replicas, guarded):
        """False: a port was taken."""
        ports = free_ports(1 + replicas + 3)
        self.first, self.servers, self.sentinels = ports[0], [], []
        try:
            for port in ports[:1 + replicas]:
                self.servers.append(self.server(port, guarded))
            for port in ports[1 + replicas:]:
                self.sentinels.append(self.sentinel(port))
        except Ended:
            return False
        return True

    def sentinel_addresses(self):
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def options(self):
        return {"redis.sentinel.user": "warmpool", "redis.sentinel.password": "sentinels-word"}

    def folder(self, port):
        path = os.path.join(self.dir, f"redis-{port}")
        os.makedirs(path, exist_ok=True)
        return path

    def server(self, port, guarded):
        path = self.folder(port)
        shutil.copy(ROOT / "redis" / "redis.conf", path)  # a sentinel has it rewritten
        with open(os.path.join(path, "redis.conf"), "a", encoding="utf-8") as conf:
            conf.write(f"port {port}\nbind 127.0.0.1\naclfile {self.dir}/users.acl\ndir {path}\nlogfile {path}/log\nsave \"\"\n"
                       "masteruser replica\nmasterauth replica-word\nrepl-diskless-sync-delay 0\n"
                       f"min-replicas-to-write {int(guarded)}\nmin-replicas-max-lag 10\n"
                       + (f"replicaof 127.0.0.1 {self.first}\n" if port != self.first else ""))
        return Server(port, ["redis-server", os.path.join(path, "redis.conf")], "test", "test-word")

    def sentinel(self, port):
        path = self.folder(port)
        with open(os.path.join(path, "sentinel.conf"), "w", encoding="utf-8") as conf:
            conf.write(f"port {port}\nbind 127.0.0.1\ndir {path}\nlogfile {path}/log\n{SENTINEL_USERS}"
                       f"sentinel monitor {NAME} 127.0.0.1 {self.first} 2\nsentinel auth-user {NAME} sentinel\n"
                       f"sentinel auth-pass {NAME} sentinel-word\nsentinel down-after-milliseconds {NAME} {self.down_after_ms}\n"
                       f"sentinel failover-timeout {NAME} 5000\nsentinel parallel-syncs {NAME} 2\n")
        return Server(port, ["redis-server", os.path.join(path, "sentinel.conf"), "--sentinel"], "peer", "peer-word")

    @staticmethod
    def knows_all(sentinel, replicas):
        known = sentinel.client.sentinel_masters()[NAME]
        return known["num-slaves"] == replicas and known["num-other-sentinels"] == 2

    def named(self):
        """The primary as the first sentinel that runs names it."""
        running = next(sentinel for sentinel in self.sentinels if sentinel.process.poll() is None)
        port = int(running.client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)[1])
        return next(server for server in self.servers if server.port == port)

    @property
    def client(self):
        return self.named().client

    def close(self):
        for server in self.servers + self.sentinels:
            if server.process.poll() is None:
                server.kill()
